import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import type { Change } from "../../lib/changes.ts";
import { SYSTEM } from "./texts.ts";

interface ChangesProps {
  changes: readonly Change[];
  /** Others are only counted. */
  most?: number;
}

const MAX_TEXT = 400;

/** What differs: `limits.requests_per_minute 60 → 120`; what was not set has no arrow. */
export function Changes({ changes, most = Number.POSITIVE_INFINITY }: ChangesProps): JSX.Element {
  const t = textsOf(SYSTEM).changes;
  return (
    <ul class="changes">
      {changes.slice(0, most).map(({ path, before, after }) => (
        <li key={path}>
          <code>{path}</code>{" "}
          {isSet(before) ? (
            <>
              <Value value={before} kind="gone" /> →{" "}
            </>
          ) : null}
          {isSet(after) ? <Value value={after} kind="new" /> : <span class="muted">{t.nothing}</span>}
        </li>
      ))}
      {changes.length > most ? <li class="muted small">{t.more(String(changes.length - most))}</li> : null}
    </ul>
  );
}

function isSet(value: unknown): boolean {
  return value !== undefined && value !== null;
}

function Value({ value, kind }: { value: unknown; kind: "gone" | "new" }): JSX.Element {
  const t = textsOf(SYSTEM).changes;
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return (
    <code class={kind} title={kind === "gone" ? t.before : t.after}>
      {text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text}
    </code>
  );
}
