import type { JSX } from "preact";
import { admin, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Section } from "../../ui/basics.tsx";
import { Loaded } from "../../ui/table.tsx";
import { ofAllModels, ThinkingTable } from "../../ui/thinking.tsx";
import { OVERVIEW } from "./texts.ts";

/** What was asked of thinking lately, what was sent for it, and what came. */
export function Thinking(): JSX.Element {
  const t = textsOf(OVERVIEW);
  const found = useResource("thinking", (signal) => unwrap(admin.GET("/admin/v1/thinking", { signal })));
  return (
    <Section
      title={t.thinking}
      actions={
        <>
          {found.data === undefined ? null : (
            <span class="muted small">{t.thinkingOf(grouped(found.data.rows))}</span>
          )}
          <a href="/console/models">{t.byModel}</a>
        </>
      }
    >
      <Loaded resource={found}>
        {(data) => <ThinkingTable rows={ofAllModels(data.data)} withModel={false} />}
      </Loaded>
    </Section>
  );
}
