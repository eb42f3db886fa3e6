import type { JSX } from "preact";
import type { Schemas } from "../../api/client.ts";
import { failureWords } from "../../i18n/error-kinds.ts";
import { grouped, NOTHING } from "../../lib/format.ts";
import { Tag } from "../../ui/basics.tsx";
import { StatusTag } from "../../ui/status.tsx";
import type { Column } from "../../ui/table.tsx";
import { ThinkingBrief } from "../../ui/thinking.tsx";
import { Count, Duration, Money, Num, Time } from "../../ui/values.tsx";
import { FIRST_ERROR } from "./details.tsx";
import type { REQUESTS } from "./texts.ts";

type Row = Schemas["RequestRow"];
type Words = typeof REQUESTS.en;

export function columnsOf(t: Words, pathOf: (id: string) => string): Column<Row>[] {
  const c = t.columns;
  return [
    {
      name: "time",
      title: c.time,
      cell: (row) => (
        <a href={pathOf(row.request_id)}>
          <Time utc={row.time} withSeconds />
        </a>
      ),
    },
    { name: "status", title: c.status, cell: (row) => <Outcome row={row} /> },
    { name: "model", title: c.model, cell: (row) => row.model ?? NOTHING },
    { name: "key", title: c.key, cell: (row) => <KeyName row={row} t={t} /> },
    {
      name: "thinking",
      title: c.thinking,
      cell: (row) => (
        <ThinkingBrief
          asked={row.thinking_asked}
          sent={row.thinking_sent}
          observed={row.thinking_observed}
          isAnswered={row.status < FIRST_ERROR}
        />
      ),
    },
    {
      name: "input",
      title: c.input,
      isNumber: true,
      cell: ({ prompt_tokens: all, cached_tokens: cached }) => (
        <span {...(all === null ? {} : { title: t.inHint(grouped(all), grouped(cached ?? 0)) })}>
          <Count value={all} />
        </span>
      ),
    },
    {
      name: "output",
      title: c.output,
      isNumber: true,
      cell: ({ completion_tokens: all, reasoning_tokens: reasoning }) => (
        <span {...(all === null ? {} : { title: t.outHint(grouped(all), grouped(reasoning ?? 0)) })}>
          <Count value={all} />
        </span>
      ),
    },
    {
      name: "cost",
      title: c.cost,
      isNumber: true,
      cell: (row) => <Money amount={row.cost} currency={row.currency} />,
    },
    {
      name: "first",
      title: c.first,
      isNumber: true,
      cell: (row) => <Duration seconds={row.first_event_s} />,
    },
    { name: "total", title: c.total, isNumber: true, cell: (row) => <Duration seconds={row.total_s} /> },
    {
      name: "attempts",
      title: c.attempts,
      isNumber: true,
      cell: ({ attempts }) =>
        attempts !== null && attempts > 1 ? (
          <Tag tone="warn">{grouped(attempts)}</Tag>
        ) : (
          <Num value={attempts} />
        ),
    },
  ];
}

function Outcome({ row }: { row: Row }): JSX.Element {
  const kind = row.error_kind;
  return (
    <span class="nowrap">
      <StatusTag status={row.status} kind={kind} />
      {kind === null ? null : (
        <span class="small muted" title={kind}>
          {" "}
          {failureWords(kind, row.status)?.name ?? kind}
        </span>
      )}
    </span>
  );
}

function KeyName({ row, t }: { row: Row; t: Words }): JSX.Element {
  if (row.key_id === null) return <span class="muted">{t.noKey}</span>;
  if (row.key_name === null) return <span class="muted">{t.goneKey(String(row.key_id))}</span>;
  return (
    <span {...(row.project_name === null ? {} : { title: row.project_name })}>
      {row.key_name === "" ? `#${row.key_id}` : row.key_name}
    </span>
  );
}
