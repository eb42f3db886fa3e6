import assert from "node:assert/strict";
import { test } from "node:test";
import { localInput } from "../src/lib/local-input.ts";
import { emptyKey, expiryOf, keyDraftOf, readKeyChange, readNewKey } from "../src/pages/access/key-draft.ts";

const NOW = new Date("2026-11-26T08:00:30Z");
const SHOWN = {
  id: 12,
  name: "batch",
  prefix: "sk-gtw-a1B2",
  kind: "model",
  state: "active",
  project: "search",
  project_id: 3,
  owner: "Li Na",
  models: ["a", "b"],
  trusts_user_header: false,
  limits: { requests_per_minute: null, tokens_per_minute: null, concurrent_requests: null },
  limits_by: [],
  budgets: [],
  created_at: "2026-11-26T08:00:00Z",
  expires_at: "2026-12-26T08:00:30Z",
  blocked_at: null,
  revoked_at: null,
  rotated_at: null,
  previous_expires_at: null,
} satisfies Parameters<typeof keyDraftOf>[0];

test("a new key says its name, kind and project", () => {
  const draft = { ...emptyKey("default"), name: " me " };
  assert.deepEqual(readNewKey(draft, NOW).body, { name: "me", kind: "model", project: "default" });
  const { faults } = readNewKey(emptyKey("default"), NOW);
  assert.deepEqual(faults, [{ param: "name", reason: "missing" }]);
});

test("a change says what differs, and nothing else", () => {
  const before = keyDraftOf(SHOWN);
  assert.deepEqual(readKeyChange(before, before, NOW).body, {});
  const owner = readKeyChange(before, { ...before, owner: "" }, NOW);
  assert.deepEqual(owner.body, { owner: null });
  const models = readKeyChange(before, { ...before, models: ["b", "a"] }, NOW);
  assert.deepEqual(models.body, {});
  assert.deepEqual(readKeyChange(before, { ...before, mayUseAllModels: true }, NOW).body, { models: null });
});

test("a key without a name keeps none, and one with a name keeps it", () => {
  const unnamed = keyDraftOf({ ...SHOWN, name: "" });
  assert.deepEqual(readKeyChange(unnamed, { ...unnamed, owner: "me" }, NOW), {
    body: { owner: "me" },
    faults: [],
    limitsByRows: [],
  });
  const before = keyDraftOf(SHOWN);
  const { faults } = readKeyChange(before, { ...before, name: " " }, NOW);
  assert.deepEqual(faults, [{ param: "name", reason: "missing" }]);
});

test("a key that may use chosen models needs one", () => {
  const draft = { ...emptyKey("default"), name: "me", mayUseAllModels: false };
  assert.deepEqual(readNewKey(draft, NOW).faults, [{ param: "models", reason: "models" }]);
  assert.deepEqual(readNewKey({ ...draft, models: ["b", "a"] }, NOW).body.models, ["a", "b"]);
});

test("an admin key has neither models nor limits", () => {
  const draft = { ...emptyKey("default"), name: "ops", mayUseAllModels: false, models: ["a"] };
  draft.rules.limits.requests_per_minute = "5";
  const { body } = readNewKey({ ...draft, kind: "admin" }, NOW);
  assert.deepEqual(body, { name: "ops", kind: "admin", project: "default" });
});

test("expiry: in days from now, at a minute of the viewer's zone, or never", () => {
  const draft = emptyKey("default");
  assert.equal(expiryOf(draft, NOW), null);
  assert.deepEqual(expiryOf({ ...draft, expiry: "7" }, NOW), new Date("2026-12-03T08:00:30Z"));
  const minute = new Date("2026-12-03T08:00:00Z");
  assert.deepEqual(
    expiryOf({ ...draft, expiry: "exact", expiresAt: localInput(minute.toISOString()) }, NOW),
    minute,
  );
  const blank = { ...draft, name: "me", expiry: "exact" as const };
  assert.deepEqual(readNewKey(blank, NOW).faults, [{ param: "expires_at", reason: "time" }]);
});

test("an expiry that is not touched keeps its seconds", () => {
  const before = keyDraftOf(SHOWN);
  assert.equal(readKeyChange(before, { ...before, name: "other" }, NOW).body.expires_at, undefined);
  assert.equal(readKeyChange(before, { ...before, expiry: "never" }, NOW).body.expires_at, null);
});
