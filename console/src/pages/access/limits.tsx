import type { JSX } from "preact";
import type { Schemas } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import type { Resource } from "../../lib/resource.ts";
import { Bar, FaultNote } from "../../ui/basics.tsx";
import { type LimitEntry, type LimitLine, limitLines } from "./limit-lines.ts";
import { ACCESS } from "./texts.ts";

interface LimitListProps {
  entries: readonly LimitEntry[];
  standing: Resource<Schemas["StandingSchema"]>;
  /** Whether they are a project's, looked at from there: whose they are goes without saying. */
  isProject?: boolean;
}

/** Limits, each with a bar of what is used of it right now. */
export function LimitList({ entries, standing: loaded, isProject = false }: LimitListProps): JSX.Element {
  const t = textsOf(ACCESS);
  const standing = loaded.data;
  const lines = limitLines(entries, standing?.limits ?? null);
  if (lines.length === 0) return <p class="muted">{t.noLimits}</p>;
  return (
    <>
      {loaded.fault === undefined ? null : <FaultNote fault={loaded.fault} onRetry={loaded.reload} />}
      <ul class="meters">
        {lines.map((line) => (
          <li key={`${line.kind} ${line.whose} ${line.model} ${line.isPerUser}`}>
            <Line line={line} isOwn={isProject && line.whose === "project"} />
          </li>
        ))}
      </ul>
      {standing !== undefined && standing.limits === null ? (
        <p class="muted small">
          {t.standingUnknown} {standing.unknown}
        </p>
      ) : null}
    </>
  );
}

function Line({ line, isOwn }: { line: LimitLine; isOwn: boolean }): JSX.Element {
  const t = textsOf(ACCESS);
  const about = [
    ...(isOwn || line.whose === "model" ? [] : [t.whose[line.whose]]),
    ...(line.model === null ? [] : [t.at(line.model)]),
    ...(line.whose === "model" ? [t.whose.model] : []),
    ...(line.isPerUser ? [t.eachUser] : []),
  ].join(" · ");
  const { remaining, limit } = line;
  return (
    <>
      <div class="row apart">
        <span>
          {t.limits[line.kind]} <span class="muted small">{about}</span>
        </span>
        <span class="nowrap">
          {remaining === null ? t.limitOf(grouped(limit)) : t.limitLeft(grouped(remaining), grouped(limit))}
        </span>
      </div>
      {remaining === null ? null : (
        <Bar
          share={(limit - remaining) / limit}
          label={[t.limits[line.kind], about].filter(Boolean).join(", ")}
        />
      )}
    </>
  );
}
