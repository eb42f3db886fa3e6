import assert from "node:assert/strict";
import { test } from "node:test";
import { type Branch, found, sizeOf, treeOf } from "../../src/pages/system/config-nodes.ts";

const CONFIG = {
  server: { port: 8000, cors_origins: [] },
  upstreams: { glm: { api_key: "**********", max_in_flight: null } },
  models: [
    { id: "glm-5", upstream: "glm", targets: [{ upstream: "glm" }] },
    { id: "glm-6", upstream: "other" },
  ],
};

function paths(branch: Branch): string[] {
  return [...branch.leaves.map(({ path }) => path), ...branch.branches.flatMap(paths)];
}

test("each value has the path that a fault would name", () => {
  assert.deepEqual(paths(treeOf(CONFIG)), [
    "server.port",
    "server.cors_origins",
    "upstreams.glm.api_key",
    "upstreams.glm.max_in_flight",
    "models[0].id",
    "models[0].upstream",
    "models[0].targets[0].upstream",
    "models[1].id",
    "models[1].upstream",
  ]);
});

test("what is found by its path, its value, or what its table is called", () => {
  const tree = treeOf(CONFIG);
  assert.deepEqual(paths(found(tree, " PORT ")), ["server.port"]);
  assert.deepEqual(paths(found(tree, "models[1].")), ["models[1].id", "models[1].upstream"]);
  assert.deepEqual(paths(found(tree, "8000")), ["server.port"]);
  assert.deepEqual(paths(found(tree, "glm-6")), ["models[1].id", "models[1].upstream"]);
  assert.equal(sizeOf(found(tree, "nowhere")), 0);
});
