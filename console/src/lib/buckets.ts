/** Rows of usage by time and something else → the series of a plot. */

export interface Pivot {
  /** Unix time at which each bucket begins, in seconds, without gaps. */
  times: number[];
  series: { name: string; sums: bigint[] }[];
}

interface PivotOptions<Row> {
  startOf: (row: Row) => string | null | undefined;
  groupOf: (row: Row) => string;
  /** Exact: a count, or money in 10⁻⁹ of its unit. */
  amountOf: (row: Row) => bigint;
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
  const totals = new Map<string, bigint>();
  for (const row of rows) totals.set(groupOf(row), (totals.get(groupOf(row)) ?? 0n) + amountOf(row));
  const names = [...totals].sort(([, first], [, second]) => Number(second - first)).map(([name]) => name);
  const own = new Map(names.slice(0, most).map((name, index) => [name, index]));
  const shown = [...own.keys(), ...(names.length > most ? [other] : [])];
  const series = shown.map((name) => ({ name, sums: new Array<bigint>(times.length).fill(0n) }));
  for (const row of rows) {
    const place = places.get(at(row));
    const sums = series[own.get(groupOf(row)) ?? most]?.sums;
    if (place !== undefined && sums !== undefined) sums[place] = (sums[place] ?? 0n) + amountOf(row);
  }
  return { times, series };
}
