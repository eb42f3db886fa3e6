import assert from "node:assert/strict";
import test from "node:test";
import { localInput, utcOfInput } from "../../src/lib/local-input.ts";
import {
  filterKeyOf,
  filterOf,
  outcomeChanges,
  outcomeOf,
  requestIdIn,
} from "../../src/pages/requests/filter.ts";

const NOW = Date.parse("2026-11-26T08:00:00Z");

test("the address becomes the API's parameters", () => {
  const query = { model: "a/b", key_id: "7", user: "王伟", status_class: "4", failed: "true", api: "chat" };
  assert.deepEqual(filterOf(query, NOW), {
    model: "a/b",
    key_id: 7,
    user: "王伟",
    status_class: 4,
    failed: true,
    api: "chat",
  });
});

test("what no filter can be is passed over", () => {
  const query = {
    key_id: "1e3",
    project_id: "0",
    status: "99",
    api: "x",
    since: "soon",
    failed: "no",
    more: "1",
  };
  assert.deepEqual(filterOf(query, NOW), {});
});

test("a preset counts back from now, and hides exact times", () => {
  assert.deepEqual(filterOf({ time: "24h", until: "2020-01-01T00:00:00Z" }, NOW), {
    since: "2026-11-25T08:00:00.000Z",
  });
  assert.deepEqual(filterOf({ since: "2026-11-26T08:00:00+08:00" }, NOW), {
    since: "2026-11-26T00:00:00.000Z",
  });
});

test("the key of a filter has one order, and nothing else of the address", () => {
  const first = filterKeyOf({ model: "a", user: "b", page: "2" });
  assert.equal(first, filterKeyOf({ user: "b", model: "a", status: "" }));
  assert.notEqual(first, filterKeyOf({ user: "b" }));
});

for (const query of [{ status: "429" }, { status_class: "5" }, { failed: "false" }, {}]) {
  test(`an outcome goes to the address and back: ${JSON.stringify(query)}`, () => {
    const changes = outcomeChanges(outcomeOf(query));
    assert.deepEqual(changes, { status: null, status_class: null, failed: null, ...query });
  });
}

test("times of inputs are the viewer's", () => {
  assert.equal(utcOfInput(localInput("2026-11-26T08:05:00.000Z")), "2026-11-26T08:05:00.000Z");
  assert.equal(localInput(undefined), "");
  assert.equal(utcOfInput(""), null);
});

test("an id is found in what was pasted", () => {
  assert.equal(requestIdIn(" x-request-id: req_019ac0ffee00d1\r\n"), "req_019ac0ffee00d1");
  assert.equal(requestIdIn("Request id: req_simulated_00012)"), "req_simulated_00012");
  assert.equal(requestIdIn("nothing"), null);
});
