import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { LOCALES } from "../lib/format.ts";
import { language } from "../lib/preferences.ts";
import { colourOf, type Series } from "./chart.tsx";

export interface Drawing {
  times: readonly number[];
  series: readonly Series[];
  look: "bars" | "lines";
  stepS: number;
  heightPx: number;
  isWhole: boolean;
  zone: string | undefined;
  formatTick: (value: number) => string;
  onHover: (hover: { index: number; leftPx: number } | null) => void;
}

const DAY_S = 86_400;
const AXIS_FONT = "11px system-ui, sans-serif";
const MIDNIGHT = "00:00";
const BAR_SHARE = 0.72;
/** Between the ticks of what is counted: half a request is none. */
const WHOLE_STEPS = Array.from({ length: 15 }, (_, power) =>
  [1, 2, 5].map((step) => step * 10 ** power),
).flat();

/** A colour as the canvas takes it: it knows no CSS variables. */
function resolved(element: HTMLElement, colour: string): string {
  const probe = document.createElement("i");
  probe.style.color = colour;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

/** Each series upon those before it. */
function stacked(series: readonly Series[], length: number): (number | null)[][] {
  const below = new Array<number>(length).fill(0);
  return series.map(({ values }) =>
    values.map((value, index) => {
      below[index] = (below[index] ?? 0) + (value ?? 0);
      return below[index] ?? 0;
    }),
  );
}

/** Draw into an element. The caller destroys the plot. */
export function draw(element: HTMLElement, drawing: Drawing): uPlot {
  const { times, series, look, stepS, heightPx, isWhole, zone, formatTick, onHover } = drawing;
  const isStack = look === "bars";
  const values = isStack ? stacked(series, times.length) : series.map((each) => [...each.values]);
  // The tallest of a stack is drawn first, so that the lower ones lie upon it.
  const order = series.map((_, index) => index);
  if (isStack) order.reverse();
  const grid = { stroke: resolved(element, "var(--line)"), width: 1 };
  const ink = resolved(element, "var(--muted)");
  const locale = LOCALES[language.value];
  const where = zone === undefined ? {} : { timeZone: zone };
  const day = new Intl.DateTimeFormat(locale, { month: "short", day: "numeric", ...where });
  const hour = new Intl.DateTimeFormat(locale, {
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...where,
  });
  const bars = uPlot.paths.bars?.({ size: [BAR_SHARE, 60], align: 1 });
  const lines = uPlot.paths.linear?.();
  return new uPlot(
    {
      width: element.clientWidth,
      height: heightPx,
      padding: [8, 30, 0, 0],
      legend: { show: false },
      ...(zone === undefined ? {} : { tzDate: (at) => uPlot.tzDate(new Date(at * 1000), zone) }),
      cursor: { y: false, points: { show: !isStack, size: 6 }, drag: { x: false, y: false } },
      scales: {
        x: { time: true, range: (_, min, max) => [min, isStack ? max + stepS : max] },
        y: { range: (_, __, max) => [0, max > 0 ? max * 1.08 : 1] },
      },
      axes: [
        {
          stroke: ink,
          font: AXIS_FONT,
          grid: { show: false },
          ticks: { show: false },
          size: 24,
          space: 70,
          values: (_, splits, __, ___, increment) =>
            splits.map((split) => {
              const at = new Date(split * 1000);
              const time = hour.format(at);
              return increment >= DAY_S || time === MIDNIGHT ? day.format(at) : time;
            }),
        },
        {
          stroke: ink,
          font: AXIS_FONT,
          grid,
          ticks: { show: false },
          size: 52,
          space: 36,
          ...(isWhole ? { incrs: WHOLE_STEPS } : {}),
          values: (_, splits) => splits.map(formatTick),
        },
      ],
      series: [
        {},
        ...order.map((index): uPlot.Series => {
          const one = series[index];
          const colour = one === undefined ? ink : resolved(element, colourOf(one, index));
          const paths = isStack ? bars : lines;
          return {
            stroke: colour,
            width: isStack ? 0 : 1.75,
            points: { show: false },
            ...(isStack ? { fill: colour } : {}),
            ...(paths === undefined ? {} : { paths }),
          };
        }),
      ],
      hooks: {
        setCursor: [
          (plot) => {
            const { idx, left } = plot.cursor;
            const isInside = idx !== null && idx !== undefined && left !== undefined && left >= 0;
            onHover(isInside ? { index: idx, leftPx: left + plot.bbox.left / devicePixelRatio } : null);
          },
        ],
      },
    },
    [[...times], ...order.map((index) => values[index] ?? [])] as uPlot.AlignedData,
    element,
  );
}
