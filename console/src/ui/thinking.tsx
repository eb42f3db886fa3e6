import type { JSX } from "preact";
import type { Schemas } from "../api/client.ts";
import { texts, textsOf } from "../i18n/texts.ts";
import { NOTHING } from "../lib/format.ts";
import { Empty, Tag, type Tone } from "./basics.tsx";
import { type Column, Table } from "./table.tsx";
import { Num } from "./values.tsx";

export type ThinkingRow = Schemas["ThinkingRow"];

const TEXTS = texts(
  {
    label: "What happened to thinking",
    model: "Model",
    asked: "Asked",
    sent: "Sent as",
    observed: "Came",
    requests: "Requests",
    askedNames: { on: "on", off: "off", nothing: "nothing" },
    ignored: "ignored",
    reasoned: "reasoning",
    silent: "no reasoning",
    unheard: "reasoning, though off",
    missing: "no reasoning, though on",
    emptyTitle: "No request has been answered yet",
  },
  {
    label: "思考开关的效果",
    model: "模型",
    asked: "要求",
    sent: "发送为",
    observed: "实际",
    requests: "请求",
    askedNames: { on: "开", off: "关", nothing: "未指定" },
    ignored: "被忽略",
    reasoned: "有思考",
    silent: "没有思考",
    unheard: "关了仍在思考",
    missing: "开了却没思考",
    emptyTitle: "还没有得到回答的请求",
  },
);

/** Rows of all models together. */
export function ofAllModels(rows: readonly ThinkingRow[]): ThinkingRow[] {
  const together = new Map<string, ThinkingRow>();
  for (const row of rows) {
    const place = [row.asked, row.sent, row.observed].join(" ");
    const requests = row.requests + (together.get(place)?.requests ?? 0);
    together.set(place, { ...row, model: null, requests });
  }
  return [...together.values()].sort((first, second) => second.requests - first.requests);
}

interface ThinkingProps {
  rows: readonly ThinkingRow[];
  /** Whether the rows are of several models. */
  withModel?: boolean;
}

/** Asked, sent and observed. What did not obey the switch stands out. */
export function ThinkingTable({ rows, withModel = true }: ThinkingProps): JSX.Element {
  const t = textsOf(TEXTS);
  if (rows.length === 0) return <Empty title={t.emptyTitle} />;
  const columns: Column<ThinkingRow>[] = [
    { name: "model", title: t.model, cell: (row) => row.model ?? NOTHING },
    {
      name: "asked",
      title: t.asked,
      cell: ({ asked }) => (asked === "on" || asked === "off" ? t.askedNames[asked] : t.askedNames.nothing),
    },
    {
      name: "sent",
      title: t.sent,
      cell: ({ sent }) => {
        if (sent === null) return NOTHING;
        return sent === "ignored" ? <Tag tone="warn">{t.ignored}</Tag> : <code>{sent}</code>;
      },
    },
    {
      name: "observed",
      title: t.observed,
      cell: (row) => {
        const [tone, text] = outcomeOf(row, t);
        return <Tag tone={tone}>{text}</Tag>;
      },
    },
    { name: "requests", title: t.requests, isNumber: true, cell: (row) => <Num value={row.requests} /> },
  ];
  return (
    <Table
      label={t.label}
      columns={withModel ? columns : columns.slice(1)}
      rows={rows}
      keyOf={(row) => [row.model, row.asked, row.sent, row.observed].join(" ")}
    />
  );
}

function outcomeOf(
  { asked, observed }: Pick<ThinkingRow, "asked" | "observed">,
  t: typeof TEXTS.en,
): readonly [Tone, string] {
  if (asked === "off" && observed) return ["bad", t.unheard];
  if (asked === "on" && !observed) return ["warn", t.missing];
  if (observed) return ["good", t.reasoned];
  return [asked === "off" ? "good" : "neutral", t.silent];
}

interface BriefProps {
  asked: string | null;
  sent: string | null;
  observed: boolean;
  /** Whether there was an answer in which reasoning could come. */
  isAnswered: boolean;
}

/** Asked → came of one request, in a cell of a table; how it was sent in a tooltip. Nothing where neither was. */
export function ThinkingBrief({ asked, sent, observed, isAnswered }: BriefProps): JSX.Element {
  const t = textsOf(TEXTS);
  const isAsked = asked === "on" || asked === "off";
  if (!isAsked && !observed) return <>{NOTHING}</>;
  const [tone, text] = outcomeOf({ asked, observed }, t);
  const ignored = sent === "ignored";
  return (
    <span class="nowrap" {...(sent === null ? {} : { title: `${t.sent}: ${ignored ? t.ignored : sent}` })}>
      {isAsked ? `${t.askedNames[asked]} ` : null}
      {ignored ? <Tag tone="warn">{t.ignored}</Tag> : null}
      {isAnswered && !ignored ? (
        <>
          {isAsked ? "→ " : null}
          <Tag tone={tone}>{text}</Tag>
        </>
      ) : null}
    </span>
  );
}
