import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { system } from "../../api/system.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { withoutGaps } from "../../lib/buckets.ts";
import { grouped, money, shortened } from "../../lib/format.ts";
import { everyRow, MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Section, Segments } from "../../ui/basics.tsx";
import { Chart, type Series } from "../../ui/chart.tsx";
import { Loaded } from "../../ui/table.tsx";
import {
  amountOf,
  askUsage,
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
    const valuesOf = (rows: readonly UsageRow[]): number[] => {
      const amounts = new Map(rows.map((row) => [startOf(row), amountOf(row, measure, currency)]));
      return times.map((time) => amounts.get(time) ?? 0);
    };
    const named = own.map(({ row, steps }): Series & { values: number[] } => ({
      name: nameOf(row),
      values: valuesOf(steps),
    }));
    const rest = valuesOf(all).map((value, index) =>
      named.reduce((left, each) => left - (each.values[index] ?? 0), value),
    );
    const hasRest = rest.some((value) => value > 1e-9);
    const name = own.length === 0 ? t.total : common.other;
    return { times, series: hasRest ? [...named, { name, values: rest, isRest: own.length > 0 }] : named };
  }, [all, own, measure, currency, stepS, nameOf, t, common]);
  return (
    <Chart
      label={t.plot(t.measures[measure])}
      times={times}
      series={series}
      look="bars"
      stepS={stepS}
      zone={stepS < STEP_S.day ? undefined : system.value?.timezone}
      format={(value) => (measure === "cost" ? money(value.toFixed(4), currency) : grouped(value))}
      formatTick={shortened}
      heightPx={240}
      isWhole={measure !== "cost"}
    />
  );
}
