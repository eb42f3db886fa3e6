import assert from "node:assert/strict";
import test from "node:test";
import { attemptsOf, type FailedAttempt } from "../src/lib/failures.ts";

const NOTHING = { status: null, cause: null, code: null, message: null };

function failed(upstream: string, kind: string | null, more: Partial<FailedAttempt> = {}): FailedAttempt {
  return { upstream, kind, ...NOTHING, ...more };
}

const CASES: readonly (readonly [string, string, readonly FailedAttempt[]])[] = [
  ["a kind alone", "a: first_event_timeout", [failed("a", "first_event_timeout")]],
  [
    "a status with code and message",
    'b: answered 401 invalid_api_key "The key is wrong."',
    [failed("b", "status", { status: 401, code: "invalid_api_key", message: "The key is wrong." })],
  ],
  [
    "a status with a message only",
    'qwen: answered 500 "internal error"',
    [failed("qwen", "status", { status: 500, message: "internal error" })],
  ],
  [
    "a cause that has a colon",
    "c: unreachable: TLS: unknown issuer, c: unreachable: connection refused",
    [
      failed("c", "unreachable", { cause: "TLS: unknown issuer" }),
      failed("c", "unreachable", { cause: "connection refused" }),
    ],
  ],
  ["a redirect has a comma", "a: answered 302, a redirect", [failed("a", "redirect", { status: 302 })]],
  [
    "a message like another attempt",
    'a: sent an error 429 limit "slow, b: reset \\"now\\", c: reset", b: reset',
    [
      failed("a", "error_event", {
        status: 429,
        code: "limit",
        message: 'slow, b: reset "now", c: reset',
      }),
      failed("b", "reset"),
    ],
  ],
  ["an error without a status", "a: sent an error", [failed("a", "error_event")]],
  [
    "cut in the middle of a message",
    'a: answered 400 "Too long, b: and then',
    [failed("a", "status", { status: 400, message: "Too long, b: and then" })],
  ],
  ["words of a later version", "a: 出错了 (x)", [failed("a", null, { message: "出错了 (x)" })]],
];

for (const [name, text, expected] of CASES) {
  test(`failed attempts: ${name}`, () => assert.deepEqual(attemptsOf(text), expected));
}

test("failed attempts: none", () => assert.deepEqual(attemptsOf(null), []));
