import assert from "node:assert/strict";
import { test } from "node:test";
import {
  emptyBudget,
  emptyLimitsBy,
  emptyRules,
  isAmount,
  paramOfForm,
  type RulesDraft,
  readRules,
  rulesDraftOf,
} from "../src/pages/access/rules-draft.ts";

const SHOWN = {
  limits: { requests_per_minute: 60, tokens_per_minute: null, concurrent_requests: 4 },
  limits_by: [
    {
      model: "a",
      per_user: false,
      requests_per_minute: 5,
      tokens_per_minute: 100,
      concurrent_requests: null,
    },
    {
      model: null,
      per_user: true,
      requests_per_minute: 1,
      tokens_per_minute: null,
      concurrent_requests: null,
    },
  ],
  budgets: [
    { id: 4, amount: "10.00", unit: "CNY", period: "day", model: null, per_user: false, warn_at: 0.805 },
  ],
} as const;

function change(how: (draft: RulesDraft) => void): ReturnType<typeof readRules> {
  const draft = rulesDraftOf(SHOWN);
  how(draft);
  return readRules(rulesDraftOf(SHOWN), draft);
}

test("nothing is sent of what stays", () => {
  assert.deepEqual(
    change(() => {}),
    { body: {}, faults: [], limitsByRows: [] },
  );
});

test("a limit that is emptied is null, one that is not touched is left out", () => {
  const { body } = change(({ limits }) => {
    limits.requests_per_minute = "";
    limits.tokens_per_minute = "200,000";
  });
  assert.deepEqual(body, { limits: { requests_per_minute: null, tokens_per_minute: 200000 } });
});

test("a row that is removed takes its limits away, by name", () => {
  const { body, limitsByRows } = change(({ limitsBy }) => limitsBy.splice(0, 1));
  assert.deepEqual(body, {
    limits_by: [{ model: "a", per_user: false, requests_per_minute: null, tokens_per_minute: null }],
  });
  assert.deepEqual(limitsByRows, [null]);
});

test("a row whose model changes is one that goes and one that comes", () => {
  const { body, limitsByRows } = change(({ limitsBy }) => {
    const [first] = limitsBy;
    if (first !== undefined) first.model = "b";
  });
  assert.deepEqual(body.limits_by, [
    { model: "b", per_user: false, requests_per_minute: 5, tokens_per_minute: 100 },
    { model: "a", per_user: false, requests_per_minute: null, tokens_per_minute: null },
  ]);
  assert.deepEqual(limitsByRows, [0, null]);
});

test("faults of the API are told at the row of the form", () => {
  const { limitsByRows } = change(({ limitsBy }) => {
    const [, second] = limitsBy;
    if (second !== undefined) second.limits.requests_per_minute = "0";
  });
  assert.deepEqual(limitsByRows, [1]);
  assert.equal(
    paramOfForm("limits_by[0].requests_per_minute", limitsByRows),
    "limits_by[1].requests_per_minute",
  );
  assert.equal(paramOfForm("budgets[0].amount", limitsByRows), "budgets[0].amount");
});

test("of budgets all are sent where one changes", () => {
  const { body } = change(({ budgets }) => budgets.push({ ...emptyBudget("tokens"), amount: "1 000 000" }));
  assert.deepEqual(body.budgets, [
    { unit: "CNY", amount: "10.00", period: "day", model: null, per_user: false, warn_at: 0.805 },
    { unit: "tokens", amount: "1000000", period: "month", model: null, per_user: false, warn_at: 0.8 },
  ]);
  assert.deepEqual(change(({ budgets }) => budgets.pop()).body, { budgets: [] });
});

test("what can't be read is told with its field", () => {
  const draft = emptyRules();
  draft.limits.requests_per_minute = "many";
  draft.limitsBy = [
    emptyLimitsBy(),
    { ...emptyLimitsBy(), isPerUser: true },
    { ...emptyLimitsBy(), isPerUser: true },
  ];
  draft.budgets = [
    { ...emptyBudget("CNY"), amount: "" },
    { ...emptyBudget("CNY"), amount: "-1", warnPercent: "101" },
  ];
  assert.deepEqual(readRules(emptyRules(), draft).faults, [
    { param: "limits.requests_per_minute", reason: "whole" },
    { param: "limits_by[0].model", reason: "missing" },
    { param: "limits_by[2].model", reason: "twice" },
    { param: "budgets[0].amount", reason: "missing" },
    { param: "budgets[1].amount", reason: "amount" },
    { param: "budgets[1].warn_at", reason: "percent" },
  ]);
});

test("amounts are exact decimal numbers", () => {
  for (const good of ["0", "10", "0.000000001", "9".repeat(19)]) assert.ok(isAmount(good), good);
  for (const bad of ["", "1e3", "-1", ".5", "1.", "0.0000000001", "１"]) assert.ok(!isAmount(bad), bad);
});
