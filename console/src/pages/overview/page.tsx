import { useComputed } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { beats, between, type Live, live } from "../../api/live.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { type Counters, NOTHING_COUNTED } from "../../lib/counters.ts";
import { useQuery } from "../../lib/query.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Page, Segments } from "../../ui/basics.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Attention } from "./attention.tsx";
import { type Overview as Data, loadOverview, type Range } from "./data.ts";
import { Now } from "./now.tsx";
import "./page.css";
import { OVERVIEW } from "./texts.ts";
import { Thinking } from "./thinking.tsx";
import { Top } from "./top.tsx";
import { Totals } from "./totals.tsx";
import { Trend } from "./trend.tsx";

const RANGES: readonly Range[] = ["day", "week", "month"];

/** What the gateway does, and what it wants of its operator. */
export default function Overview(): JSX.Element {
  const t = textsOf(OVERVIEW);
  const [query, change] = useQuery();
  const range = RANGES.find((each) => each === query["range"]) ?? "day";
  const sums = useResource(range, (signal) => loadOverview(range, signal));
  useFreshSums(sums.reload);
  return (
    <Page
      title={textsOf(SHELL).pages.overview}
      actions={
        <Segments
          label={t.range}
          value={range}
          options={RANGES.map((each) => [each, t.ranges[each]])}
          onChange={(value) => change({ range: value === "day" ? null : value })}
        />
      }
    >
      <Attention />
      <Now />
      <Loaded resource={sums}>{(data) => <Sums data={data} range={range} reload={sums.reload} />}</Loaded>
    </Page>
  );
}

interface SumsProps {
  data: Data;
  range: Range;
  reload: () => void;
}

function Sums({ data, range, reload }: SumsProps): JSX.Element {
  if (data.all.requests === 0) return <Nothing data={data} reload={reload} />;
  return (
    <>
      <LiveTotals data={data} />
      <Trend data={data} range={range} />
      <div class="grid">
        <Top kind="model" rows={data.models} />
        <Top kind="project" rows={data.projects} />
        <Top kind="key" rows={data.keys} />
        <Thinking />
      </div>
    </>
  );
}

/** The only sums that are rendered anew by each look at the gateway. */
function LiveTotals({ data }: { data: Data }): JSX.Element {
  return <Totals all={data.all} added={useAdded(data)} />;
}

function Nothing({ data, reload }: { data: Data; reload: () => void }): JSX.Element {
  const t = textsOf(OVERVIEW);
  // The first request of all has no row yet that a counter could be added to.
  const isFirst = useAdded(data).requests > 0;
  useEffect(() => {
    if (isFirst) reload();
  }, [isFirst, reload]);
  return (
    <Empty title={t.emptyTitle}>
      <p>{t.empty}</p>
      <a href="/console/playground">{t.toPlayground}</a>
    </Empty>
  );
}

/** What came since the sums were read, or since the gateway could be asked after that. */
function useAdded(data: Data): Counters {
  const now = live.value;
  const first = useRef<{ data: Data; live: Live | null }>({ data, live: data.live });
  if (first.current.data !== data) first.current = { data, live: data.live };
  if (first.current.live === null || first.current.live.instance === null) first.current.live = now;
  const start = first.current.live;
  return useMemo(
    () => (start === null || now === null ? NOTHING_COUNTED : between(start, now)),
    [start, now],
  );
}

const HOUR_S = 3_600;

/**
 * Sums are asked anew when an hour ends, so that its bar is whole, and when the gateway's counters begin anew; in
 * between the counters say what came, and the database is left alone.
 */
function useFreshSums(reload: () => void): void {
  // Computed, so that the page is rendered anew by a change of these and not by each look at the gateway.
  const hour = useComputed(() => {
    const last = beats.value.at(-1);
    return last === undefined ? null : Math.floor(last.atS / HOUR_S);
  }).value;
  const instance = useComputed(() => live.value?.instance ?? null).value;
  const seen = useRef<{ hour: number | null; instance: string | null }>({ hour: null, instance: null });
  useEffect(() => {
    const before = seen.current;
    const isAnew =
      (before.hour !== null && hour !== null && before.hour !== hour) ||
      (before.instance !== null && instance !== null && before.instance !== instance);
    seen.current = { hour: hour ?? before.hour, instance: instance ?? before.instance };
    if (isAnew) reload();
  }, [hour, instance, reload]);
}
