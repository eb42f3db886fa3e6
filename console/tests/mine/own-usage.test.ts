import assert from "node:assert/strict";
import { test } from "node:test";
import { modelsIn } from "../../src/pages/mine/models.ts";
import { byModel, ownUsageIn, startOf, today, totalOf } from "../../src/pages/mine/own-usage.ts";

const ANSWER = {
  key: { id: 1, name: "team", project: "default", models: ["glm-5"], expires_at: null },
  timezone: "Asia/Shanghai",
  limits: [
    { kind: "requests_per_minute", scope: "key", of: "key 'team'", limit: 60, remaining: 12, reset_s: 48 },
    { kind: "tokens_per_minute", scope: "key_user", of: "a user", limit: 9, remaining: null, reset_s: null },
    { kind: "of another time", limit: 1 },
  ],
  budgets: [
    { id: 6, scope: "project", unit: "CNY", period: "day", amount: "0.10", spent: "0.09", left: "0.01" },
    { id: 7, period: "century" },
  ],
  usage: [
    { day: "2026-11-26", model: "glm-5", requests: 1, prompt_tokens: 4, costs: { CNY: "0.1" } },
    { day: "2026-11-27", model: "glm-5", requests: 2, prompt_tokens: 5, costs: { CNY: "0.2" } },
    { day: "2026-11-27", model: null, requests: 4, errors: 4, costs: {} },
  ],
};

test("an answer is read, and what is not known is left out", () => {
  const usage = ownUsageIn(ANSWER);
  assert.deepEqual(usage.models, ["glm-5"]);
  assert.deepEqual(
    usage.limits.map(({ scope, remaining }) => [scope, remaining]),
    [
      ["key", 12],
      [null, null],
    ],
  );
  assert.deepEqual(
    usage.budgets.map(({ id, scope, left, reserved }) => [id, scope, left, reserved]),
    [[6, "project", "0.01", "0"]],
  );
  assert.equal(ownUsageIn({ key: { models: null } }).models, null);
  assert.deepEqual(ownUsageIn(null).days, []);
});

test("days are added exactly, and the busiest model comes first", () => {
  const { days } = ownUsageIn(ANSWER);
  const all = totalOf(days);
  assert.deepEqual([all.requests, all.errors, all.promptTokens, all.costs], [7, 4, 9, { CNY: "0.30" }]);
  assert.deepEqual(
    byModel(days).map(({ model, requests }) => [model, requests]),
    [
      [null, 4],
      ["glm-5", 3],
    ],
  );
});

test("a day keeps its name in the viewer's zone", () => {
  const start = startOf("2026-03-01");
  assert.deepEqual(
    [start.getFullYear(), start.getMonth(), start.getDate(), start.getHours()],
    [2026, 2, 1, 0],
  );
  const late = new Date("2026-11-26T17:00:00Z");
  assert.equal(today("Asia/Shanghai", late), "2026-11-27");
  assert.equal(today("America/New_York", late), "2026-11-26");
});

test("what a model does with the switch", () => {
  const entry = (thinking: object, reasoning: boolean | null = null) => ({
    id: "m",
    thinking,
    capabilities: { reasoning },
  });
  const data = [
    entry({ switch_effective: true, modes: ["on", "off"] }),
    entry({ switch_effective: false, modes: ["on"] }),
    entry({ switch_effective: false, modes: ["off"] }),
    entry({ switch_effective: false, modes: ["on", "off"] }),
    entry({ switch_effective: false, modes: ["on", "off"] }, false),
  ];
  assert.deepEqual(
    modelsIn({ data }).map(({ thinking }) => thinking),
    ["switch", "always", "never", "unknown", "never"],
  );
});
