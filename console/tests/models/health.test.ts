import assert from "node:assert/strict";
import test from "node:test";
import type { Live } from "../../src/api/live.ts";
import { accountName } from "../../src/lib/accounts.ts";
import { latencyWords } from "../../src/lib/format.ts";
import { accountNow, attemptsAt, runningAt, targetNow } from "../../src/pages/models/health.ts";

const TARGET = {
  upstream_model: "m",
  account: null,
  in_flight: 2,
  cooling_s: 0,
  last_failure: null,
  last_failure_s: null,
};

const NOW: Pick<Live, "upstreams"> = {
  upstreams: [
    {
      upstream: "a",
      attempts: [
        { outcome: "ok", count: 7 },
        { outcome: "client_gone", count: 1 },
        { outcome: "status_503", count: 2 },
      ],
      targets: [{ ...TARGET, state: "up" }],
    },
    { upstream: "b", attempts: [], targets: [{ ...TARGET, state: "cooling", in_flight: 1 }] },
  ],
};

test("a target is found by upstream and model", () => {
  assert.equal(targetNow(NOW, "b", "m")?.state, "cooling");
  assert.equal(targetNow(NOW, "b", "other"), null);
  assert.equal(targetNow(null, "b", "m"), null);
});

test("a target with several accounts is as well as the worst of them", () => {
  const targets = [
    { ...TARGET, account: 1, state: "up" as const, last_failure: "reset", last_failure_s: 9 },
    {
      ...TARGET,
      account: 2,
      state: "cooling" as const,
      cooling_s: 4,
      last_failure: "status",
      last_failure_s: 2,
    },
    { ...TARGET, account: 3, state: "probing" as const },
  ];
  const now = { upstreams: [{ upstream: "c", attempts: [], targets }] };
  const { state, in_flight, cooling_s, last_failure } = targetNow(now, "c", "m") ?? {};
  assert.deepEqual([state, in_flight, cooling_s, last_failure], ["cooling", 6, 4, "status"]);
  assert.equal(accountNow(now, "c", "m", 3)?.state, "probing");
  assert.equal(accountNow(now, "c", "m", null), null);
  assert.equal(accountName("c", 2), "c#2");
});

test("what runs is counted once for each target", () => {
  const a = { upstream: "a", upstream_model: "m" };
  assert.equal(runningAt(NOW, [a, a, { upstream: "b", upstream_model: "m" }]), 3);
  assert.equal(runningAt(null, [a]), null);
});

test("a client that left is no failure of an upstream", () => {
  assert.deepEqual(attemptsAt(NOW, "a"), { all: 10, failed: 2 });
  assert.equal(attemptsAt(NOW, "c"), null);
});

test("latencies end where they are not measured", () => {
  assert.equal(latencyWords(0.5, 2.5), "500 ms · 2.5 s");
  assert.equal(latencyWords(30, null), "30 s · > 1 min");
  assert.equal(latencyWords(null, null), "–");
});
