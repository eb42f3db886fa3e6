import assert from "node:assert/strict";
import { test } from "node:test";
import { type Counters, difference, NOTHING_COUNTED, quantile, sum } from "../src/lib/counters.ts";
import { added, fromNano, subtracted, toNano } from "../src/lib/decimal.ts";

const some = (requests: number, cost: string): Counters => ({
  ...NOTHING_COUNTED,
  requests,
  costs: { CNY: cost },
  total: { bounds_s: [1, 2], counts: [requests, 0, 1] },
});

test("amounts are added exactly", () => {
  assert.deepEqual(added({ CNY: "0.1" }, { CNY: "0.2", USD: "1" }), { CNY: "0.30", USD: "1.00" });
  assert.deepEqual(subtracted({ CNY: "9007199254740993.1" }, { CNY: "0.1" }), { CNY: "9007199254740993.00" });
  assert.equal(fromNano(toNano("-0.000000001")), "-0.000000001");
});

test("counters of models are added", () => {
  const all = sum([some(2, "0.5"), some(3, "0.25")]);
  assert.equal(all.requests, 5);
  assert.deepEqual(all.costs, { CNY: "0.75" });
  assert.deepEqual(all.total.counts, [5, 0, 2]);
});

test("a difference is what came in between", () => {
  const between = difference(some(2, "0.5"), some(5, "0.75"));
  assert.equal(between.requests, 3);
  assert.deepEqual(between.costs, { CNY: "0.25" });
  assert.deepEqual(between.total.counts, [3, 0, 0]);
});

test("counters that began anew are the difference", () => {
  assert.equal(difference(some(9, "3"), some(1, "0.1")).requests, 1);
});

test("a quantile is the bound of its step", () => {
  const steps = { bounds_s: [0.1, 1, 10], counts: [5, 4, 0, 1] };
  assert.equal(quantile(steps, 0.5), 0.1);
  assert.equal(quantile(steps, 0.9), 1);
  assert.equal(quantile(steps, 1), null);
  assert.equal(quantile({ bounds_s: [1], counts: [0, 0] }, 0.5), null);
});
