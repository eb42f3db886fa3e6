import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Section } from "../../ui/basics.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Num } from "../../ui/values.tsx";
import { LIMIT_NAMES } from "../access/rules-draft.ts";
import { ACCESS } from "../access/texts.ts";
import { SYSTEM } from "./texts.ts";
import { Verify } from "./verify.tsx";

type Entry = Schemas["LimitEntry"];

const PAGE_SIZE = 50;

/** All limits, and whether sums and budgets agree with the ledger. */
export function Limits(): JSX.Element {
  const t = textsOf(SYSTEM).limits;
  const names = textsOf(ACCESS).limits;
  const pages = usePages("");
  const limits = useResource(pages.cursor ?? "", (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/limits", { params: { query }, signal }));
  });
  const columns: Column<Entry>[] = [
    { name: "whose", title: t.whose, cell: (entry) => <Whose entry={entry} /> },
    {
      name: "model",
      title: t.model,
      cell: ({ model }) => model ?? <span class="muted">{t.anyModel}</span>,
    },
    {
      name: "counted",
      title: t.counted,
      cell: ({ per_user }) => (per_user ? t.perUser : <span class="muted">{t.together}</span>),
    },
    ...LIMIT_NAMES.map(
      (name): Column<Entry> => ({
        name,
        title: names[name],
        isNumber: true,
        cell: (entry) => <Num value={entry[name]} />,
      }),
    ),
  ];
  return (
    <>
      <Section title={t.title}>
        <Loaded resource={limits}>
          {({ data, next_cursor }) =>
            data.length === 0 ? (
              <Empty title={t.empty}>
                <p>{t.emptyWhat}</p>
              </Empty>
            ) : (
              <>
                <Table
                  label={t.list}
                  columns={columns}
                  rows={data}
                  keyOf={({ scope, scope_id, name, model, per_user }) =>
                    [scope, scope_id, name, model, per_user].join(" ")
                  }
                  isLoading={limits.isLoading}
                />
                <Pager pages={pages} nextCursor={next_cursor} />
              </>
            )
          }
        </Loaded>
      </Section>
      <Verify />
    </>
  );
}

function Whose({ entry: { scope, scope_id, name } }: { entry: Entry }): JSX.Element {
  const t = textsOf(SYSTEM).limits;
  const href = hrefOf(scope, scope_id, name);
  return (
    <>
      {href === null ? name : <a href={href}>{name}</a>} <span class="muted small">{t.scopes[scope]}</span>
    </>
  );
}

function hrefOf(scope: Entry["scope"], id: number | null, name: string | null): string | null {
  if (scope === "key" || scope === "project") return `/console/${scope}s/${id}`;
  return scope === "model" ? `/console/models/${encodeURIComponent(name ?? "")}` : null;
}
