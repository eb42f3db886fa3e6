/** Rows of usage by time and something else → the series of a plot. */

export interface Pivot {
  /** Unix time at which each bucket begins, in seconds, without gaps. */
  times: number[];
  series: { name: string; values: number[] }[];
}

interface PivotOptions<Row> {
  startOf: (row: Row) => string | null | undefined;
  groupOf: (row: Row) => string;
  amountOf: (row: Row) => number;
  stepS: number;
  /** The plot begins here even if the first rows are later; Unix time in seconds. */
  sinceS?: number;
  untilS?: number;
  /** How many groups have a series of their own; the smaller ones are one together. */
  most: number;
  other: string;
}

const SLACK = 1.5;

/**
 * The given starts with those between them that no row has. Days are 23 or 25 hours long where clocks change, so
 * a gap is only filled where it is longer than a step and a half.
 */
export function withoutGaps(
  starts: readonly number[],
  stepS: number,
  sinceS?: number,
  untilS?: number,
): number[] {
  const known = [...new Set(starts)].sort((first, second) => first - second);
  const first = known[0];
  if (first === undefined) return [];
  const times: number[] = [];
  if (sinceS !== undefined) {
    for (let at = first - stepS; at > sinceS - stepS; at -= stepS) times.unshift(at);
  }
  let last = first;
  times.push(first);
  for (const at of [...known.slice(1), ...(untilS === undefined ? [] : [untilS])]) {
    while (at - last >= stepS * SLACK) {
      last += stepS;
      times.push(last);
    }
    if (at !== untilS || known.includes(at)) {
      if (at !== last) times.push(at);
      last = at;
    }
  }
  return times;
}

/** The largest groups come first, the same for each plot of the same rows. */
export function pivot<Row>(rows: readonly Row[], options: PivotOptions<Row>): Pivot {
  const { startOf, groupOf, amountOf, stepS, sinceS, untilS, most, other } = options;
  const at = (row: Row): number => Date.parse(startOf(row) ?? "") / 1000;
  const times = withoutGaps(rows.map(at), stepS, sinceS, untilS);
  const places = new Map(times.map((time, index) => [time, index]));
  const sums = new Map<string, number>();
  for (const row of rows) sums.set(groupOf(row), (sums.get(groupOf(row)) ?? 0) + amountOf(row));
  const names = [...sums.keys()].sort((first, second) => (sums.get(second) ?? 0) - (sums.get(first) ?? 0));
  const own = new Map(names.slice(0, most).map((name, index) => [name, index]));
  const shown = [...own.keys(), ...(names.length > most ? [other] : [])];
  const series = shown.map((name) => ({ name, values: new Array<number>(times.length).fill(0) }));
  for (const row of rows) {
    const place = places.get(at(row));
    const values = series[own.get(groupOf(row)) ?? most]?.values;
    if (place !== undefined && values !== undefined) values[place] = (values[place] ?? 0) + amountOf(row);
  }
  return { times, series };
}
