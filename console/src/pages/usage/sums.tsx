import type { JSX } from "preact";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import type { Cell } from "../../lib/csv.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Section } from "../../ui/basics.tsx";
import { ExportButton } from "../../ui/export.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import {
  askUsage,
  type Dimension,
  filtersOf,
  groupsOf,
  type Measure,
  type Question,
  type UsageRow,
} from "./question.ts";
import { USAGE } from "./texts.ts";

const PAGE_ROWS = 50;
const LINKED: Partial<Record<Dimension, string>> = { model: "models", key: "keys", project: "projects" };

interface SumsProps {
  question: Question;
  nameIn: (row: UsageRow, dimension: Dimension) => string;
  onOrder: (measure: Measure) => void;
}

/** The numbers of the plot, exactly: a page of groups, and all together below. */
export function Sums({ question, nameIn, onOrder }: SumsProps): JSX.Element {
  const t = textsOf(USAGE);
  const key = JSON.stringify(question);
  const pages = usePages(key);
  const by = groupsOf(question);
  // Over time, rows are read in order of time.
  const order = question.bucket === "none" ? question.measure : "group";
  const found = useResource(`${key} ${pages.cursor}`, async (signal) => {
    const [page, all] = await Promise.all([
      askUsage(question, { by, order, limit: PAGE_ROWS, cursor: pages.cursor ?? undefined }, signal),
      askUsage(question, { by: "all", limit: 1 }, signal),
    ]);
    return { page, all: all.data[0] };
  });
  const exported: readonly (readonly [string, (row: UsageRow) => Cell])[] = [
    ...question.by.map((dimension) => [dimension, (row: UsageRow) => nameIn(row, dimension)] as const),
    ...(question.bucket === "none" ? [] : [["starts_at", (row: UsageRow) => row.starts_at] as const]),
    ["requests", (row) => row.requests],
    ["errors", (row) => row.errors],
    ["prompt_tokens", (row) => row.prompt_tokens],
    ["cached_tokens", (row) => row.cached_tokens],
    ["cache_write_tokens", (row) => row.cache_write_tokens],
    ["completion_tokens", (row) => row.completion_tokens],
    ["reasoning_tokens", (row) => row.reasoning_tokens],
    ["unpriced", (row) => row.unpriced],
    [
      "costs",
      (row) =>
        Object.entries(row.costs)
          .map(([currency, amount]) => `${amount} ${currency}`)
          .join("; "),
    ],
  ];
  return (
    <Section
      title={t.table}
      actions={
        <ExportButton
          name={`usage-${by.replaceAll(",", "-")}`}
          columns={exported}
          load={(cursor, signal) => askUsage(question, { by, limit: MAX_PAGE_ROWS, cursor }, signal)}
        />
      }
    >
      <Loaded resource={found}>
        {({ page, all }) =>
          all === undefined || all.requests === 0 ? (
            <Empty title={t.emptyTitle}>{t.empty}</Empty>
          ) : (
            <>
              <Table
                label={t.table}
                columns={columnsOf(question, nameIn, onOrder, t)}
                rows={pages.number === 1 && by !== "all" ? [...page.data, all] : page.data}
                keyOf={(row) => (row === all ? "all" : JSON.stringify(rowKey(row, question)))}
                chosen="all"
                isLoading={found.isLoading}
              />
              <Pager pages={pages} nextCursor={page.next_cursor} />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

function rowKey(row: UsageRow, question: Question): unknown {
  return [row.starts_at, ...question.by.map((dimension) => row[dimension])];
}

function columnsOf(
  question: Question,
  nameIn: SumsProps["nameIn"],
  onOrder: SumsProps["onOrder"],
  t: typeof USAGE.en,
): Column<UsageRow>[] {
  const isTotal = (row: UsageRow): boolean => row.starts_at === undefined && !isGrouped(row, question);
  const groups = question.by.map(
    (dimension, index): Column<UsageRow> => ({
      name: dimension,
      title: t.dimensions[dimension],
      cell: (row) => {
        if (isTotal(row)) return index === 0 ? <strong>{t.total}</strong> : null;
        return <Group row={row} dimension={dimension} name={nameIn(row, dimension)} />;
      },
    }),
  );
  const { bucket } = question;
  const time: Column<UsageRow>[] =
    bucket === "none"
      ? []
      : [
          {
            name: "time",
            title: t.buckets[bucket],
            cell: (row) => (isTotal(row) && groups.length === 0 ? t.total : (row[bucket] ?? null)),
          },
        ];
  const ordered = (measure: Measure, title: string): JSX.Element | string =>
    bucket === "none" ? (
      <OrderButton measure={measure} title={title} question={question} onOrder={onOrder} />
    ) : (
      title
    );
  return [
    ...time,
    ...groups,
    {
      name: "requests",
      title: ordered("requests", t.requests),
      isNumber: true,
      cell: (row) => <Num value={row.requests} />,
    },
    {
      name: "errors",
      title: ordered("errors", t.errors),
      isNumber: true,
      cell: (row) => <Num value={row.errors} />,
    },
    {
      name: "prompt",
      title: ordered("tokens", t.prompt),
      isNumber: true,
      cell: (row) => <Count value={row.prompt_tokens} />,
    },
    { name: "cached", title: t.cached, isNumber: true, cell: (row) => <Count value={row.cached_tokens} /> },
    {
      name: "completion",
      title: t.completion,
      isNumber: true,
      cell: (row) => <Count value={row.completion_tokens} />,
    },
    {
      name: "reasoning",
      title: t.reasoning,
      isNumber: true,
      cell: (row) => <Count value={row.reasoning_tokens} />,
    },
    {
      name: "cost",
      title: ordered("cost", t.cost),
      isNumber: true,
      cell: (row) => <Costs costs={row.costs} />,
    },
    { name: "unpriced", title: t.unpriced, isNumber: true, cell: (row) => <Num value={row.unpriced} /> },
    {
      name: "link",
      title: "",
      cell: (row) => <RequestsLink row={row} question={question} isTotal={isTotal(row)} />,
    },
  ];
}

function isGrouped(row: UsageRow, question: Question): boolean {
  return question.by.some((dimension) => row[dimension] !== undefined);
}

interface OrderProps {
  measure: Measure;
  title: string;
  question: Question;
  onOrder: (measure: Measure) => void;
}

function OrderButton({ measure, title, question, onOrder }: OrderProps): JSX.Element {
  const t = textsOf(COMMON);
  const isChosen = question.measure === measure;
  return (
    <button type="button" aria-pressed={isChosen} title={t.sortedBy(title)} onClick={() => onOrder(measure)}>
      {title}
      {isChosen ? " ↓" : ""}
    </button>
  );
}

function Group({ row, dimension, name }: { row: UsageRow; dimension: Dimension; name: string }): JSX.Element {
  const place = LINKED[dimension];
  const named = dimension === "key" || dimension === "project" ? row[dimension]?.id : row[dimension];
  if (place === undefined || named === null || named === undefined) return <span>{name}</span>;
  return <a href={`/console/${place}/${encodeURIComponent(named)}`}>{name}</a>;
}

/** The rows of the ledger that a group is made of. */
function RequestsLink({
  row,
  question,
  isTotal,
}: {
  row: UsageRow;
  question: Question;
  isTotal: boolean;
}): JSX.Element | null {
  const t = textsOf(USAGE);
  const own = isTotal ? {} : filtersOf(row, question.by);
  // The ledger's rows are not filtered by upstream.
  if (own === null || own.upstream !== undefined || question.filters.upstream !== null) return null;
  const all = { ...question.filters, ...own, since: question.since, until: question.until };
  const query = new URLSearchParams(
    Object.entries(all).filter((each): each is [string, string] => each[1] !== null),
  );
  return <a href={`/console/requests?${query}`}>{t.seeRequests}</a>;
}
