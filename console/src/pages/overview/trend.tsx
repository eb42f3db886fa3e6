import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { system } from "../../api/system.ts";
import { textsOf } from "../../i18n/texts.ts";
import { withoutGaps } from "../../lib/buckets.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { roughly } from "../../lib/decimal.ts";
import { duration, grouped, money, shortened } from "../../lib/format.ts";
import { useQuery } from "../../lib/query.ts";
import { Section, Segments } from "../../ui/basics.tsx";
import { Chart, type Series } from "../../ui/chart.tsx";
import { type Overview, type Range, SPANS, type UsageRow } from "./data.ts";
import { OVERVIEW } from "./texts.ts";

const METRICS = ["requests", "tokens", "cost", "first", "total"] as const;
type Metric = (typeof METRICS)[number];

type Measure = readonly [name: string, of: (row: UsageRow) => number | null | undefined];

/** Sums over time, one measure at a time. */
export function Trend({ data, range }: { data: Overview; range: Range }): JSX.Element {
  const t = textsOf(OVERVIEW);
  const [query, change] = useQuery();
  const metric = METRICS.find((each) => each === query["metric"]) ?? "requests";
  const { stepS, lengthS } = SPANS[range];
  const currencies = useMemo(() => Object.keys(data.all.costs), [data]);
  const isTime = metric === "first" || metric === "total";
  const plot = useMemo(() => {
    const measures: Record<Metric, readonly Measure[]> = {
      requests: [
        [t.ok, (row) => row.requests - row.errors],
        [t.failed, (row) => row.errors],
      ],
      tokens: [
        [t.fresh, (row) => row.prompt_tokens - row.cached_tokens],
        [t.cached, (row) => row.cached_tokens],
        [t.reasoning, (row) => row.reasoning_tokens],
        [t.answer, (row) => row.completion_tokens - row.reasoning_tokens],
      ],
      cost: currencies.map((currency) => [currency, (row) => roughly(row.costs[currency] ?? "0")]),
      first: [
        [t.half, (row) => row.first_event_p50_s],
        [t.most, (row) => row.first_event_p95_s],
      ],
      total: [
        [t.half, (row) => row.total_p50_s],
        [t.most, (row) => row.total_p95_s],
      ],
    };
    const startOf = (row: UsageRow): number => Date.parse(row.starts_at ?? "") / 1000;
    const nowS = gatewayTime() / 1000;
    const times = withoutGaps(data.trend.map(startOf), stepS, nowS - lengthS, nowS);
    const rows = new Map(data.trend.map((row) => [startOf(row), row]));
    const series = measures[metric].map(([name, of]): Series => {
      const values = times.map((time) => {
        const row = rows.get(time);
        return row === undefined ? (isTime ? null : 0) : (of(row) ?? null);
      });
      if (metric !== "cost") return { name, values };
      const exact = (time: number): string => rows.get(time)?.costs[name] ?? "0";
      return { name, values, texts: times.map((time) => money(exact(time), name)) };
    });
    return { times, series };
  }, [data, metric, currencies, stepS, lengthS, isTime, t]);
  return (
    <Section
      title={t.trend}
      actions={
        <Segments
          label={t.metric}
          value={metric}
          options={METRICS.map((each) => [each, t.metrics[each]])}
          onChange={(value) => change({ metric: value === "requests" ? null : value })}
        />
      }
    >
      <Chart
        label={t.chart(t.metrics[metric])}
        times={plot.times}
        series={plot.series}
        look={isTime ? "lines" : "bars"}
        stepS={stepS}
        zone={range === "month" ? system.value?.timezone : undefined}
        format={isTime ? duration : grouped}
        formatTick={isTime ? duration : shortened}
        heightPx={220}
        isWhole={metric === "requests" || metric === "tokens"}
      />
    </Section>
  );
}
