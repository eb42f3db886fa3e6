import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { system } from "../../api/system.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { withoutGaps } from "../../lib/buckets.ts";
import { toNano } from "../../lib/decimal.ts";
import { grouped, shortened } from "../../lib/format.ts";
import { everyRow, MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Section, Segments } from "../../ui/basics.tsx";
import { Chart } from "../../ui/chart.tsx";
import { lineOf } from "../../ui/lines.ts";
import { Loaded } from "../../ui/table.tsx";
import {
  askUsage,
  countOf,
  type Filters,
  filtersOf,
  MEASURES,
  type Measure,
  plotBucket,
  type Question,
  STEP_S,
  type UsageRow,
} from "./question.ts";
import { USAGE } from "./texts.ts";

const OWN_SERIES = 6;

interface Line {
  /** The group, with its sum. */
  row: UsageRow;
  steps: UsageRow[];
}

/** The largest groups by themselves, and all together: what is left of it is "other". */
async function loadLines(question: Question, signal: AbortSignal): Promise<{ all: UsageRow[]; own: Line[] }> {
  const by = plotBucket(question);
  const steps = async (more: Partial<Filters> = {}): Promise<UsageRow[]> => {
    const rows: UsageRow[] = [];
    await everyRow(
      (cursor) => askUsage(question, { by, limit: MAX_PAGE_ROWS, cursor }, signal, more),
      (page) => rows.push(...page),
    );
    return rows;
  };
  const largest = async (): Promise<Line[]> => {
    if (question.by.length === 0) return [];
    const asked = { by: question.by.join(","), order: question.measure, limit: OWN_SERIES };
    const { data } = await askUsage(question, asked, signal);
    const own = data.map(async (row): Promise<Line | null> => {
      const filters = filtersOf(row, question.by);
      return filters === null ? null : { row, steps: await steps(filters) };
    });
    return (await Promise.all(own)).filter((line) => line !== null);
  };
  const [all, own] = await Promise.all([steps(), largest()]);
  return { all, own };
}

interface PlotProps {
  question: Question;
  nameOf: (row: UsageRow) => string;
  onMeasure: (measure: Measure) => void;
}

export function Plot({ question, nameOf, onMeasure }: PlotProps): JSX.Element {
  const t = textsOf(USAGE);
  const { measure } = question;
  const lines = useResource(JSON.stringify(question), (signal) => loadLines(question, signal));
  return (
    <Section
      title={t.plotTitle}
      actions={
        <Segments
          label={t.measure}
          value={measure}
          options={MEASURES.map((each) => [each, t.measures[each]])}
          onChange={onMeasure}
        />
      }
    >
      <Loaded resource={lines}>
        {({ all, own }) => <Drawn all={all} own={own} question={question} nameOf={nameOf} />}
      </Loaded>
    </Section>
  );
}

interface DrawnProps {
  all: readonly UsageRow[];
  own: readonly Line[];
  question: Question;
  nameOf: (row: UsageRow) => string;
}

function Drawn({ all, own, question, nameOf }: DrawnProps): JSX.Element {
  const t = textsOf(USAGE);
  const common = textsOf(COMMON);
  const { measure } = question;
  const stepS = STEP_S[plotBucket(question)];
  const currency = all.flatMap((row) => Object.keys(row.costs))[0] ?? "";
  const { times, series } = useMemo(() => {
    const startOf = (row: UsageRow): number => Date.parse(row.starts_at ?? "") / 1000;
    const times = stepS > STEP_S.week ? all.map(startOf) : withoutGaps(all.map(startOf), stepS);
    const isMoney = measure === "cost";
    const exactOf = (row: UsageRow): bigint =>
      isMoney ? toNano(row.costs[currency] ?? "0") : BigInt(countOf(row, measure));
    const sumsOf = (rows: readonly UsageRow[]): bigint[] => {
      const sums = new Map(rows.map((row) => [startOf(row), exactOf(row)]));
      return times.map((time) => sums.get(time) ?? 0n);
    };
    const unit = isMoney ? currency : null;
    const ofOwn = own.map(({ row, steps }) => ({ name: nameOf(row), sums: sumsOf(steps) }));
    const rest = ofOwn.reduce(
      (left, { sums }) => left.map((sum, index) => sum - (sums[index] ?? 0n)),
      sumsOf(all),
    );
    const series = ofOwn.map(({ name, sums }) => lineOf(name, sums, unit));
    if (rest.some((sum) => sum > 0n)) {
      const isRest = own.length > 0;
      series.push({ ...lineOf(isRest ? common.other : t.total, rest, unit), isRest });
    }
    return { times, series };
  }, [all, own, measure, currency, stepS, nameOf, t, common]);
  return (
    <Chart
      label={t.plot(t.measures[measure])}
      times={times}
      series={series}
      look="bars"
      stepS={stepS}
      zone={stepS < STEP_S.day ? undefined : system.value?.timezone}
      format={grouped}
      formatTick={shortened}
      heightPx={240}
      isWhole={measure !== "cost"}
    />
  );
}
