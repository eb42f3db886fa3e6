import assert from "node:assert/strict";
import { test } from "node:test";
import { type LimitEntry, limitLines } from "../src/pages/access/limit-lines.ts";

const NONE = { requests_per_minute: null, tokens_per_minute: null, concurrent_requests: null };
const ENTRIES: LimitEntry[] = [
  { ...NONE, whose: "key", model: null, per_user: false, requests_per_minute: 60 },
  { ...NONE, whose: "key", model: "a", per_user: false, requests_per_minute: 5 },
  { ...NONE, whose: "key", model: null, per_user: true, requests_per_minute: 2 },
  { ...NONE, whose: "default", model: null, per_user: false, concurrent_requests: 4 },
  { ...NONE, whose: "project", model: null, per_user: false, requests_per_minute: 600 },
];

function left(
  kind: "requests_per_minute" | "concurrent_requests",
  scope: string,
  model: string | null,
  limit: number,
  remaining: number,
): NonNullable<Parameters<typeof limitLines>[1]>[number] {
  return { kind, scope, of: "", model, limit, remaining, reset_s: 1 };
}

test("each limit gets what is left of it, and of no other", () => {
  const lines = limitLines(ENTRIES, [
    left("requests_per_minute", "project", null, 600, 599),
    left("requests_per_minute", "key_model", "a", 5, 4),
    left("concurrent_requests", "key", null, 4, 3),
    left("requests_per_minute", "key", null, 60, 58),
    left("requests_per_minute", "model", "a", 1000, 999),
  ]);
  assert.deepEqual(
    lines.map((line) => [line.whose, line.model, line.isPerUser, line.limit, line.remaining]),
    [
      ["key", null, false, 60, 58],
      ["key", "a", false, 5, 4],
      ["key", null, true, 2, null],
      ["default", null, false, 4, 3],
      ["project", null, false, 600, 599],
      ["model", "a", false, 1000, 999],
    ],
  );
});

test("where nothing can be known, the limits are told", () => {
  assert.deepEqual(
    limitLines(ENTRIES, null).map((line) => line.remaining),
    [null, null, null, null, null],
  );
});
