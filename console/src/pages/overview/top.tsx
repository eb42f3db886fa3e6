import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { percent } from "../../lib/format.ts";
import { Empty, Section } from "../../ui/basics.tsx";
import { type Column, Table } from "../../ui/table.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import type { UsageRow } from "./data.ts";
import { OVERVIEW } from "./texts.ts";

type Kind = "model" | "project" | "key";

const PLACES: Record<Kind, string> = { model: "models", project: "projects", key: "keys" };

interface Name {
  id: string | number | null;
  text: string;
}

/** Those with the most requests; the page of usage has all of them. */
export function Top({ kind, rows }: { kind: Kind; rows: readonly UsageRow[] }): JSX.Element {
  const t = textsOf(OVERVIEW);
  const title = { model: t.byModel, project: t.byProject, key: t.byKey }[kind];
  const nameOf = (row: UsageRow): Name => {
    if (kind === "model") return { id: row.model ?? null, text: row.model ?? t.nobody };
    const named = kind === "key" ? row.key : row.project;
    if (named === null || named === undefined) return { id: null, text: t.nobody };
    return { id: named.id, text: named.name === "" ? `${t.gone} ${named.id}` : named.name };
  };
  const columns: Column<UsageRow>[] = [
    { name: "name", title: t.name, cell: (row) => <NameLink kind={kind} name={nameOf(row)} /> },
    { name: "requests", title: t.requests, isNumber: true, cell: (row) => <Num value={row.requests} /> },
    {
      name: "tokens",
      title: t.tokens,
      isNumber: true,
      cell: (row) => <Count value={row.prompt_tokens + row.completion_tokens} />,
    },
    { name: "cost", title: t.cost, isNumber: true, cell: (row) => <Costs costs={row.costs} /> },
    {
      name: "errors",
      title: t.errors,
      isNumber: true,
      cell: (row) => <span title={String(row.errors)}>{percent(row.errors / row.requests)}</span>,
    },
  ];
  return (
    <Section title={title} actions={<a href={`/console/usage?by=${kind}`}>{t.allOf}</a>}>
      {rows.length === 0 ? (
        <Empty title={t.emptyTitle} />
      ) : (
        <Table label={title} columns={columns} rows={rows} keyOf={(row) => nameOf(row).id ?? ""} />
      )}
    </Section>
  );
}

function NameLink({ kind, name }: { kind: Kind; name: Name }): JSX.Element {
  if (name.id === null) return <span class="muted">{name.text}</span>;
  return <a href={`/console/${PLACES[kind]}/${encodeURIComponent(name.id)}`}>{name.text}</a>;
}
