import assert from "node:assert/strict";
import { test } from "node:test";
import { changesOf } from "../src/lib/changes.ts";

test("leaves that differ, with their places", () => {
  const before = { limits: { rpm: 60, tpm: null }, models: [{ id: "a" }, { id: "b" }], same: [1, 2] };
  const after = { limits: { rpm: 120, tpm: null }, models: [{ id: "a" }], same: [1, 2], name: "x" };
  assert.deepEqual(changesOf(before, after), [
    { path: "limits.rpm", before: 60, after: 120 },
    { path: "models[1].id", before: "b", after: undefined },
    { path: "name", before: undefined, after: "x" },
  ]);
});

test("of what came, what is set", () => {
  const made = { name: "x", owner: null, budgets: [{ amount: "2.00", model: null }], models: [] };
  assert.deepEqual(
    changesOf(null, made).map(({ path, after }) => [path, after]),
    [
      ["name", "x"],
      ["budgets[0].amount", "2.00"],
    ],
  );
  assert.deepEqual(changesOf({ at: null }, { at: undefined }), []);
});

test("what is of another kind is a change of the whole", () => {
  assert.deepEqual(changesOf({ models: null }, { models: ["a"] }), [
    { path: "models[0]", before: undefined, after: "a" },
  ]);
  assert.deepEqual(changesOf({ price: "1" }, { price: { input: "1" } }), [
    { path: "price", before: "1", after: { input: "1" } },
  ]);
  assert.deepEqual(changesOf(1, 1), []);
});
