import assert from "node:assert/strict";
import test from "node:test";
import { added, fromNano, isZero, subtracted, toNano } from "../src/lib/decimal.ts";

test("an amount of nothing, however it is written", () => {
  assert.ok(isZero("0"));
  assert.ok(isZero("0.00"));
  assert.ok(!isZero("0.01"));
});

test("amounts stay exact where a number of JavaScript would not", () => {
  const large = "9007199254740993.000000001";
  assert.equal(fromNano(toNano(large)), large);
  assert.deepEqual(added({ CNY: "0.1" }, { CNY: "0.2", USD: "1" }), { CNY: "0.30", USD: "1.00" });
  assert.deepEqual(subtracted({ CNY: "0.1" }, { CNY: "0.3" }), { CNY: "-0.20" });
});
