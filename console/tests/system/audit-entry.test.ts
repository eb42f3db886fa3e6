import assert from "node:assert/strict";
import { test } from "node:test";
import { changesIn, pageOf, pageOfActor } from "../../src/pages/system/audit-entry.ts";

const ENTRY = {
  id: 1,
  time: "2026-11-26T08:00:00Z",
  actor: "key 7 (ops)",
  action: "key.create",
  target: "key 2",
};

test("who and what have pages of their own", () => {
  assert.equal(pageOf("key 12"), "/console/keys/12");
  assert.equal(pageOf("project 3"), "/console/projects/3");
  assert.deepEqual([pageOf("budget 4"), pageOf("config"), pageOf("key x")], [null, null, null]);
  assert.equal(pageOfActor("key 7 (ops)"), "/console/keys/7");
  assert.equal(pageOfActor("cli root@host"), null);
});

test("the id of what was made is left out", () => {
  const changes = changesIn({ ...ENTRY, before: null, after: { id: 2, name: "x" } });
  assert.deepEqual(
    changes.map(({ path }) => path),
    ["name"],
  );
  assert.deepEqual(changesIn({ ...ENTRY, before: null, after: null }), []);
});
