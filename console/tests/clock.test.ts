import assert from "node:assert/strict";
import { test } from "node:test";
import { now, setClock } from "../src/lib/clock.ts";
import { relativeTime } from "../src/lib/format.ts";

const HOUR_MS = 3_600_000;

function ahead(ms: number): string {
  return new Date(Date.now() + ms).toUTCString();
}

function isNear(value: number, expected: number): void {
  assert.ok(Math.abs(value - expected) < 2_000, `${value - expected} ms`);
}

test("the gateway's clock counts where the browser's is another one", () => {
  setClock(ahead(2 * HOUR_MS));
  isNear(now(), Date.now() + 2 * HOUR_MS);
  assert.equal(relativeTime(new Date(now() - 90_000).toISOString(), "en"), "1 minute ago");
  setClock(ahead(2 * HOUR_MS + 5_000)); // an answer that took its time
  isNear(now(), Date.now() + 2 * HOUR_MS);
  setClock(ahead(-2 * HOUR_MS));
  isNear(now(), Date.now() - 2 * HOUR_MS);
});

test("clocks that agree, and answers without a date, change nothing", () => {
  setClock(ahead(3_000));
  isNear(now(), Date.now());
  setClock(null);
  setClock("yesterday");
  isNear(now(), Date.now());
});
