import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { withoutGaps } from "../../lib/buckets.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { grouped, latencyWords, percent, shortened } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Section } from "../../ui/basics.tsx";
import { Chart } from "../../ui/chart.tsx";
import { Stat } from "../../ui/facts.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import { MODELS } from "./texts.ts";

type Row = Schemas["UsageRow"];

interface Use {
  all: Row | undefined;
  days: readonly Row[];
  sinceS: number;
  untilS: number;
}

const DAY_S = 86_400;
const DAYS = 30;

async function load(model: string, signal: AbortSignal): Promise<Use> {
  const untilS = gatewayTime() / 1000;
  const sinceS = untilS - DAYS * DAY_S;
  const since = new Date(sinceS * 1000).toISOString();
  const sum = async (query: { by: string; latency?: boolean; limit?: number }): Promise<Row[]> => {
    const asked = { model, since, ...query };
    return (await unwrap(admin.GET("/admin/v1/usage", { params: { query: asked }, signal }))).data;
  };
  const [[all], days] = await Promise.all([
    sum({ by: "all", latency: true }),
    sum({ by: "day", limit: DAYS + 2 }),
  ]);
  return { all, days, sinceS, untilS };
}

/** What the model came to lately. */
export function ModelUsage({ id }: { id: string }): JSX.Element {
  const t = textsOf(MODELS).details;
  const use = useResource(id, (signal) => load(id, signal));
  const more = new URLSearchParams({ model: id, by: "project" });
  return (
    <Section title={t.usage} actions={<a href={`/console/usage?${more}`}>{t.toUsage}</a>}>
      <Loaded resource={use}>
        {(data) =>
          data.all === undefined || data.all.requests === 0 ? (
            <p class="muted">{t.unused}</p>
          ) : (
            <>
              <Sums of={data.all} />
              <Days of={data} />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

function Sums({ of: sum }: { of: Row }): JSX.Element {
  const t = textsOf(MODELS).details;
  return (
    <dl class="stats model-stats">
      <Stat name={t.requests} value={<Num value={sum.requests} />} />
      <Stat name={t.usedTokens} value={<Count value={sum.prompt_tokens + sum.completion_tokens} />} />
      <Stat name={t.cost} value={<Costs costs={sum.costs} />} />
      <Stat name={t.errors} value={percent(sum.errors / sum.requests)} more={grouped(sum.errors)} />
      <Stat
        name={t.first}
        value={latencyWords(sum.first_event_p50_s, sum.first_event_p95_s)}
        more={t.halfAnd95}
      />
      <Stat name={t.total} value={latencyWords(sum.total_p50_s, sum.total_p95_s)} more={t.halfAnd95} />
    </dl>
  );
}

function Days({ of: use }: { of: Use }): JSX.Element {
  const t = textsOf(MODELS).details;
  const plot = useMemo(() => {
    const startOf = (row: Row): number => Date.parse(row.starts_at ?? "") / 1000;
    const times = withoutGaps(use.days.map(startOf), DAY_S, use.sinceS, use.untilS);
    const requests = new Map(use.days.map((row) => [startOf(row), row.requests]));
    return { times, series: [{ name: t.requests, values: times.map((time) => requests.get(time) ?? 0) }] };
  }, [use, t]);
  return (
    <Chart
      label={t.usage}
      times={plot.times}
      series={plot.series}
      look="bars"
      stepS={DAY_S}
      format={grouped}
      formatTick={shortened}
      heightPx={130}
      isWhole
    />
  );
}
