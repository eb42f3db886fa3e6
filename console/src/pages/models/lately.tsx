import type { JSX } from "preact";
import { admin, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Section } from "../../ui/basics.tsx";
import { Loaded } from "../../ui/table.tsx";
import { ThinkingTable } from "../../ui/thinking.tsx";
import { MODELS } from "./texts.ts";

/** What was asked of thinking, sent, and came, in the newest rows of the ledger. */
export function Lately({ id }: { id: string }): JSX.Element {
  const t = textsOf(MODELS).details;
  const found = useResource("thinking", (signal) => unwrap(admin.GET("/admin/v1/thinking", { signal })));
  return (
    <Section
      title={t.lately}
      actions={
        found.data === undefined ? undefined : (
          <span class="muted small">{t.latelyOf(grouped(found.data.rows))}</span>
        )
      }
    >
      <Loaded resource={found}>
        {({ data }) => {
          const rows = data.filter(({ model }) => model === id);
          if (rows.length === 0) return <p class="muted">{t.noLately}</p>;
          return <ThinkingTable rows={rows} withModel={false} />;
        }}
      </Loaded>
    </Section>
  );
}
