import type { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import { LOCALES } from "../lib/format.ts";
import { isDark, language } from "../lib/preferences.ts";
import { Empty } from "./basics.tsx";

export interface Series {
  name: string;
  /** One for each of the plot's times; null: there is none. */
  values: readonly (number | null)[];
  /** What is read of each value, where `format` would not be exact: sums of money. */
  texts?: readonly string[];
  /** All that has no series of its own. */
  isRest?: boolean;
}

export interface ChartProps {
  /** What is plotted, for those who can't see it. The same numbers must be in a table or in text beside. */
  label: string;
  /** Unix time of each value, in seconds, ascending. */
  times: readonly number[];
  series: readonly Series[];
  /** `bars`: stacked, each as wide as `stepS`. `lines`: each by itself. */
  look: "bars" | "lines";
  /** Between two times. */
  stepS: number;
  format: (value: number) => ComponentChildren;
  /** Of the ticks, which have little room. */
  formatTick: (value: number) => string;
  heightPx?: number;
  /** Ticks are whole numbers only. */
  isWhole?: boolean;
  /** Whose days the times are, where it is not the viewer's. */
  zone?: string | undefined;
}

export const PLOT_COLOURS = 7;

/** The colour of a series. */
export function colourOf(series: Series, index: number): string {
  return series.isRest || index >= PLOT_COLOURS ? "var(--plot-other)" : `var(--plot-${index + 1})`;
}

interface Hover {
  index: number;
  leftPx: number;
}

/** A plot over time. The library is loaded with the first one. */
export function Chart(props: ChartProps): JSX.Element {
  const {
    label,
    times,
    series,
    look,
    stepS,
    format,
    formatTick,
    heightPx = 190,
    isWhole = false,
    zone,
  } = props;
  const t = textsOf(COMMON);
  const box = useRef<HTMLDivElement>(null);
  const [hover, setHover] = useState<Hover | null>(null);
  const dark = isDark.value;
  const tongue = language.value;
  useEffect(() => {
    const element = box.current;
    if (element === null || times.length === 0) return;
    let plot: uPlot | undefined;
    let observer: ResizeObserver | undefined;
    let isGone = false;
    import("./plot.ts").then(({ draw }) => {
      if (isGone) return;
      plot = draw(element, {
        times,
        series,
        look,
        stepS,
        heightPx,
        isWhole,
        zone,
        formatTick,
        onHover: setHover,
      });
      observer = new ResizeObserver(() => plot?.setSize({ width: element.clientWidth, height: heightPx }));
      observer.observe(element);
    });
    return () => {
      isGone = true;
      observer?.disconnect();
      plot?.destroy();
    };
  }, [times, series, look, stepS, heightPx, zone, dark, tongue]);
  if (times.length === 0 || series.length === 0) return <Empty title={t.noData} />;
  return (
    <figure class="plot" aria-label={label}>
      <div ref={box} style={{ minHeight: heightPx }} aria-hidden="true" />
      {hover === null ? null : (
        <Tip hover={hover} times={times} series={series} stepS={stepS} zone={zone} format={format} />
      )}
      <figcaption class="legend">
        {series.map((each, index) => (
          <span key={each.name}>
            <i style={{ background: colourOf(each, index) }} />
            {each.name}
          </span>
        ))}
      </figcaption>
    </figure>
  );
}

interface TipProps {
  hover: Hover;
  times: readonly number[];
  series: readonly Series[];
  stepS: number;
  zone: string | undefined;
  format: (value: number) => ComponentChildren;
}

const TIP_WIDTH_PX = 170;
const DAY_S = 86_400;

function Tip({ hover, times, series, stepS, zone, format }: TipProps): JSX.Element {
  const at = new Date((times[hover.index] ?? 0) * 1000);
  const when = new Intl.DateTimeFormat(LOCALES[language.value], {
    month: "short",
    day: "numeric",
    ...(zone === undefined ? {} : { timeZone: zone }),
    ...(stepS < DAY_S ? { hour: "2-digit", minute: "2-digit", hourCycle: "h23" } : { weekday: "short" }),
  }).format(at);
  return (
    <div class="tip" style={{ left: Math.max(hover.leftPx - TIP_WIDTH_PX, 0) }}>
      <strong>{when}</strong>
      <ul>
        {series.map((each, index) => {
          const value = each.values[hover.index];
          return value === null || value === undefined || (value === 0 && series.length > 3) ? null : (
            <li key={each.name}>
              <span>
                <i style={{ background: colourOf(each, index) }} />
                {each.name}
              </span>
              <span>{each.texts?.[hover.index] ?? format(value)}</span>
            </li>
          );
        })}
      </ul>
    </div>
  );
}
