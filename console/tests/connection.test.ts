import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { isConnected, reach } from "../src/api/connection.ts";
import { Unreachable } from "../src/api/fault.ts";

mock.timers.enable({ apis: ["setInterval"] });
afterEach(() => mock.restoreAll());

function answers(answer: () => Promise<Response>): void {
  mock.method(globalThis, "fetch", answer);
}

function response(status: number, type: string): Response {
  return new Response("", { status, headers: { "content-type": type } });
}

test("a proxy's word that nobody answers behind it is no answer", async () => {
  for (const status of [502, 503, 504]) {
    isConnected.value = true;
    answers(async () => response(status, "text/html"));
    await assert.rejects(reach("/admin/v1/live"), Unreachable);
    assert.equal(isConnected.value, false, String(status));
  }
});

test("the gateway's own errors are answers", async () => {
  for (const status of [401, 404, 502, 503, 504]) {
    isConnected.value = false;
    answers(async () => response(status, "application/json"));
    assert.equal((await reach("/admin/v1/live")).status, status);
    assert.equal(isConnected.value, true, String(status));
  }
});

test("a broken connection is no answer, and an abort says nothing", async () => {
  isConnected.value = true;
  answers(() => Promise.reject(new DOMException("", "AbortError")));
  await assert.rejects(reach("/admin/v1/live"), DOMException);
  assert.equal(isConnected.value, true);
  answers(() => Promise.reject(new TypeError("Failed to fetch")));
  await assert.rejects(reach("/admin/v1/live"), Unreachable);
  assert.equal(isConnected.value, false);
});

test("a lost gateway is asked again until it answers", async () => {
  const asked: unknown[] = [];
  isConnected.value = false;
  mock.method(globalThis, "fetch", async (input: unknown) => {
    asked.push(input);
    return response(asked.length < 2 ? 502 : 200, "text/html");
  });
  for (const expected of [false, true, true]) {
    mock.timers.tick(2_000);
    await new Promise(setImmediate);
    assert.equal(isConnected.value, expected);
  }
  assert.deepEqual(asked, ["/console/", "/console/"]);
});
