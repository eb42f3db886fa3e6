import assert from "node:assert/strict";
import { test } from "node:test";
import { pivot, withoutGaps } from "../src/lib/buckets.ts";

const HOUR = 3_600;
const DAY = 86_400;

const GAPS: readonly (readonly [string, number[], number[]])[] = [
  ["nothing", withoutGaps([], HOUR, 0, 9 * HOUR), []],
  ["a gap is filled", withoutGaps([0, 3 * HOUR], HOUR), [0, HOUR, 2 * HOUR, 3 * HOUR]],
  ["from the beginning", withoutGaps([2 * HOUR], HOUR, 0), [0, HOUR, 2 * HOUR]],
  ["to the end", withoutGaps([0], HOUR, 0, 2.6 * HOUR), [0, HOUR, 2 * HOUR]],
  [
    "a long day is no gap",
    withoutGaps([0, 25 * HOUR, 25 * HOUR + DAY], DAY),
    [0, 25 * HOUR, 25 * HOUR + DAY],
  ],
];

for (const [name, times, expected] of GAPS) test(name, () => assert.deepEqual(times, expected));

const row = (hour: number, model: string, requests: number) => ({
  starts_at: new Date(hour * HOUR * 1000).toISOString(),
  model,
  requests,
});

test("groups become series, the small ones one together", () => {
  const rows = [row(0, "a", 1), row(0, "b", 9), row(1, "c", 2), row(2, "a", 4), row(2, "d", 1)];
  const found = pivot(rows, {
    startOf: (each) => each.starts_at,
    groupOf: (each) => each.model,
    amountOf: (each) => BigInt(each.requests),
    stepS: HOUR,
    most: 2,
    other: "rest",
  });
  assert.deepEqual(found.times, [0, HOUR, 2 * HOUR]);
  assert.deepEqual(found.series, [
    { name: "b", sums: [9n, 0n, 0n] },
    { name: "a", sums: [1n, 0n, 4n] },
    { name: "rest", sums: [0n, 2n, 1n] },
  ]);
});
