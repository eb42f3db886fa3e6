import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { useResource } from "../../lib/resource.ts";
import { Loaded } from "../../ui/table.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import { ACCESS } from "./texts.ts";

const SHOWN_MS = 30 * 86_400_000;

interface UseLineProps {
  owner: "key" | "project";
  id: number;
}

/** What a key or a project used lately, in a line, and where there is more of it. */
export function UseLine({ owner, id }: UseLineProps): JSX.Element {
  const t = textsOf(ACCESS);
  const [since] = useState(() => new Date(gatewayTime() - SHOWN_MS).toISOString());
  const whose = owner === "key" ? { key_id: id } : { project_id: id };
  const usage = useResource(`${owner} ${id}`, (signal) =>
    unwrap(admin.GET("/admin/v1/usage", { params: { query: { ...whose, by: "all", since } }, signal })),
  );
  const filter = new URLSearchParams(Object.entries(whose).map(([name, value]) => [name, String(value)]));
  const audit = new URLSearchParams({ part: "audit", target: `${owner} ${id}` });
  return (
    <>
      <Loaded resource={usage}>
        {({ data: [sum] }) =>
          sum === undefined || sum.requests === 0 ? (
            <p class="muted">{t.noUsage}</p>
          ) : (
            <p>
              <Num value={sum.requests} /> {t.requestsUnit} ·{" "}
              <Count value={sum.prompt_tokens + sum.completion_tokens} /> {t.tokensUnit} ·{" "}
              <Costs costs={sum.costs} />
              {sum.errors === 0 ? null : <span class="muted"> · {t.usageErrors(String(sum.errors))}</span>}
            </p>
          )
        }
      </Loaded>
      <div class="row">
        <a href={`/console/usage?${filter}`}>{t.toUsage}</a>
        <a href={`/console/requests?${filter}`}>{t.toRequests}</a>
        <a href={`/console/system?${audit}`}>{t.toAudit}</a>
      </div>
    </>
  );
}
