import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { Duration } from "../../ui/values.tsx";
import type { Detail } from "./details.tsx";
import { REQUESTS } from "./texts.ts";

/** How long it waited for the first event, and how long the answer then took. */
export function Timing({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const { first_event_s: first, total_s: total } = request;
  return (
    <>
      {first === null || total <= 0 ? null : (
        <div class="span-line" aria-hidden="true">
          <i class="wait" style={{ width: `${(Math.min(first / total, 1) * 100).toFixed(2)}%` }} />
          <i class="rest" style={{ flex: "1" }} />
        </div>
      )}
      <div class="span-words">
        {first === null ? null : (
          <>
            <span>
              <i class="wait" />
              <Duration seconds={first} /> <span class="muted">{t.toFirst}</span>
            </span>
            <span>
              <i class="rest" />
              <Duration seconds={Math.max(total - first, 0)} /> <span class="muted">{t.streaming}</span>
            </span>
          </>
        )}
        <span>
          <Duration seconds={total} /> <span class="muted">{t.all}</span>
        </span>
      </div>
    </>
  );
}
