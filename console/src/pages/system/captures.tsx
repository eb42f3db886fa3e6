import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Section, Tag } from "../../ui/basics.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { SYSTEM } from "./texts.ts";

type Lease = Schemas["LeaseSchema"];

const PAGE_SIZE = 50;

/** Which keys' requests are kept with their texts, and were lately. A key's own page starts and ends that. */
export function Captures(): JSX.Element {
  const t = textsOf(SYSTEM).captures;
  const pages = usePages("");
  const isAllowed = useResource("allowed", async (signal) => {
    const system = await unwrap(admin.GET("/admin/v1/system", { signal }));
    return system.admin.capture;
  });
  const leases = useResource(pages.cursor ?? "", (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/captures", { params: { query }, signal }));
  });
  const columns: Column<Lease>[] = [
    {
      name: "key",
      title: t.key,
      cell: ({ key_id }) => <a href={`/console/keys/${key_id}`}>{t.keyName(String(key_id))}</a>,
    },
    {
      name: "state",
      title: t.state,
      cell: ({ is_open }) => <Tag tone={is_open ? "warn" : "neutral"}>{is_open ? t.running : t.over}</Tag>,
    },
    {
      name: "count",
      title: t.count,
      cell: (row) => t.countOf(grouped(row.captured_requests), grouped(row.max_requests)),
    },
    { name: "opened", title: t.opened, cell: ({ opened_at }) => <Time utc={opened_at} /> },
    {
      name: "until",
      title: t.until,
      cell: ({ closed_at, expires_at }) => <Time utc={closed_at ?? expires_at} />,
    },
    { name: "by", title: t.by, cell: ({ opened_by }) => opened_by },
  ];
  return (
    <Section title={t.title}>
      {isAllowed.data === false ? <p class="note">{t.forbidden}</p> : null}
      <Loaded resource={leases}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            <Empty title={t.none}>{isAllowed.data === false ? null : <p>{t.noneWhat}</p>}</Empty>
          ) : (
            <>
              <Table
                label={t.list}
                columns={columns}
                rows={data}
                keyOf={({ id }) => id}
                isLoading={leases.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}
