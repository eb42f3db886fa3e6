import type { JSX } from "preact";
import { isConnected } from "../../api/connection.ts";
import { type Beat, beats, live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { quantile, sum } from "../../lib/counters.ts";
import { duration, shortened } from "../../lib/format.ts";
import { OVERVIEW } from "./texts.ts";

/** Beats that "now" is made of: one alone is too rough. */
const RECENT = 5;

function rate(of: readonly Beat[], count: (beat: Beat) => number): number {
  const lasted = of.reduce((before, beat) => before + beat.lastedS, 0);
  return lasted === 0 ? 0 : of.reduce((before, beat) => before + count(beat), 0) / lasted;
}

const perSecond = (value: number): string =>
  value === 0 ? "0" : value < 10 ? value.toFixed(1) : shortened(value);

/** What runs at this moment, out of the workers' own counters. */
export function Now(): JSX.Element | null {
  const t = textsOf(OVERVIEW);
  const now = live.value;
  if (now === null) return null;
  const recent = beats.value.slice(-RECENT);
  const firstEvent = sum(beats.value.map((beat) => beat.counters)).first_event;
  const facts: readonly (readonly [string, string])[] = [
    [t.perSecond, perSecond(rate(recent, (beat) => beat.counters.requests))],
    [t.tokensPerSecond, perSecond(rate(recent, ({ counters }) => counters.completion_tokens))],
    [t.inFlight, String(now.in_flight)],
    [t.waiting, String(now.waiting)],
    [`${t.firstEvent} p95`, duration(quantile(firstEvent, 0.95))],
  ];
  return (
    <section class="now" aria-label={t.now}>
      {isConnected.value ? (
        <span class="tag accent">
          <span class="status-dot good" /> {t.live}
        </span>
      ) : null}
      <dl>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dd>{value}</dd>
            <dt>{name}</dt>
          </div>
        ))}
      </dl>
      <Pulse all={beats.value} label={t.lastMinutes} />
    </section>
  );
}

const WIDTH = 240;
const HEIGHT = 28;
const WHOLE_S = 300;

function Pulse({ all, label }: { all: readonly Beat[]; label: string }): JSX.Element {
  const end = all.at(-1)?.atS ?? 0;
  const rates = all.map((beat) => beat.counters.requests / beat.lastedS);
  const highest = Math.max(...rates, 1);
  const points = all.map((beat, index) => {
    const x = WIDTH * (1 - (end - beat.atS) / WHOLE_S);
    const y = HEIGHT - 1 - (HEIGHT - 3) * ((rates[index] ?? 0) / highest);
    return `${x.toFixed(1)},${y.toFixed(1)}`;
  });
  return (
    <svg
      class="pulse"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <polyline
        points={points.join(" ")}
        fill="none"
        stroke="var(--accent)"
        vector-effect="non-scaling-stroke"
      />
    </svg>
  );
}
