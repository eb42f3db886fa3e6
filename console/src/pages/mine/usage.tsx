import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { pivot } from "../../lib/buckets.ts";
import { toNano } from "../../lib/decimal.ts";
import { grouped, percent, shortened } from "../../lib/format.ts";
import { useQuery } from "../../lib/query.ts";
import { Section, Segments } from "../../ui/basics.tsx";
import { Chart } from "../../ui/chart.tsx";
import { Stat } from "../../ui/facts.tsx";
import { lineOf } from "../../ui/lines.ts";
import { type Column, Table } from "../../ui/table.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import { byModel, type DaySum, type ModelSum, type OwnUsage, startOf, today, totalOf } from "./own-usage.ts";
import { MINE } from "./texts.ts";

/** What the key used in the last 30 days. */
export function Usage({ usage }: { usage: OwnUsage }): JSX.Element {
  const t = textsOf(MINE);
  const models = useMemo(() => byModel(usage.days), [usage]);
  return (
    <>
      <Section title={t.usage}>
        <Sums usage={usage} />
      </Section>
      <Days usage={usage} />
      <Section title={t.byModel}>
        <Table label={t.byModel} columns={columnsOf(t)} rows={models} keyOf={(row) => row.model ?? ""} />
      </Section>
    </>
  );
}

function Sums({ usage }: { usage: OwnUsage }): JSX.Element {
  const t = textsOf(MINE);
  const all = useMemo(() => totalOf(usage.days), [usage]);
  return (
    <dl class="stats">
      <Stat name={t.requests} value={<Num value={all.requests} />} />
      <Stat
        name={t.tokens}
        value={<Count value={all.promptTokens + all.completionTokens} />}
        more={t.inOut(shortened(all.promptTokens), shortened(all.completionTokens))}
      />
      <Stat
        name={t.cost}
        value={<Costs costs={all.costs} />}
        more={all.unpriced > 0 ? t.unpriced(grouped(all.unpriced)) : undefined}
      />
      <Stat
        name={t.errors}
        value={<Num value={all.errors} />}
        more={t.ofRequests(percent(all.errors / all.requests))}
      />
    </dl>
  );
}

const DAY_S = 86_400;
const DAYS = 30;
const MOST_MODELS = 6;
/** Before the currency in the name of a measure. */
const COST = "cost-";

/** A plot of one measure, a bar for each day. */
function Days({ usage }: { usage: OwnUsage }): JSX.Element {
  const t = textsOf(MINE);
  const other = textsOf(COMMON).other;
  const [query, change] = useQuery();
  const currencies = useMemo(() => Object.keys(totalOf(usage.days).costs), [usage]);
  const measures: [string, string][] = [
    ["requests", t.requests],
    ["tokens", t.tokens],
    ...currencies.map((currency): [string, string] => [
      `${COST}${currency}`,
      currencies.length === 1 ? t.cost : t.costIn(currency),
    ]),
  ];
  const [measure, name] = measures.find(([each]) => each === query["metric"]) ?? ["requests", t.requests];
  const currency = measure.startsWith(COST) ? measure.slice(COST.length) : null;
  const plot = useMemo(() => {
    const amountOf = (row: DaySum): bigint => {
      if (currency !== null) return toNano(row.costs[currency] ?? "0");
      return BigInt(measure === "tokens" ? row.promptTokens + row.completionTokens : row.requests);
    };
    const end = startOf(today(usage.timezone));
    const first = new Date(end.getFullYear(), end.getMonth(), end.getDate() - (DAYS - 1));
    const { times, series } = pivot(usage.days, {
      startOf: (row) => startOf(row.day).toISOString(),
      groupOf: (row) => row.model ?? t.noModel,
      amountOf,
      stepS: DAY_S,
      sinceS: first.getTime() / 1000,
      untilS: end.getTime() / 1000 + DAY_S,
      most: MOST_MODELS,
      other,
    });
    return { times, series: series.map(({ name: group, sums }) => lineOf(group, sums, currency)) };
  }, [usage, measure, currency, t, other]);
  return (
    <Section
      title={t.byDay}
      actions={
        <Segments
          label={t.metric}
          value={measure}
          options={measures}
          onChange={(value) => change({ metric: value === "requests" ? null : value })}
        />
      }
    >
      <Chart
        label={t.chart(name)}
        times={plot.times}
        series={plot.series}
        look="bars"
        stepS={DAY_S}
        format={grouped}
        formatTick={shortened}
        isWhole={currency === null}
      />
      <p class="muted small">{t.days(usage.timezone)}</p>
    </Section>
  );
}

function columnsOf(t: typeof MINE.en): Column<ModelSum>[] {
  return [
    { name: "model", title: t.model, cell: (row) => row.model ?? <span class="muted">{t.noModel}</span> },
    { name: "requests", title: t.requests, isNumber: true, cell: (row) => <Num value={row.requests} /> },
    {
      name: "input",
      title: t.inputTokens,
      isNumber: true,
      cell: (row) => <Count value={row.promptTokens} />,
    },
    {
      name: "output",
      title: t.outputTokens,
      isNumber: true,
      cell: (row) => <Count value={row.completionTokens} />,
    },
    { name: "cost", title: t.cost, isNumber: true, cell: (row) => <Costs costs={row.costs} /> },
    {
      name: "errors",
      title: t.errors,
      isNumber: true,
      cell: (row) => <span title={percent(row.errors / row.requests)}>{grouped(row.errors)}</span>,
    },
  ];
}
