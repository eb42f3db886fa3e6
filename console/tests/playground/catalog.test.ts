import assert from "node:assert/strict";
import { test } from "node:test";
import { modelsOf, noSwitchOf, takesEffort, thinkingChoices } from "../../src/pages/playground/catalog.ts";

function model(dialect: string, modes: string[], effective: boolean) {
  const thinking = { dialect, modes, switch_effective: effective };
  const [found] = modelsOf({ data: [{ id: "m", kind: "chat", modalities: { input: ["text"] }, thinking }] });
  assert.ok(found !== undefined);
  return found;
}

const ROWS = [
  {
    name: "a switch",
    of: model("enable_thinking", ["on", "off"], true),
    why: null,
    choices: ["model", "on", "off"],
  },
  {
    name: "none of the gateway's",
    of: model("native", ["on", "off"], false),
    why: "native",
    choices: ["model"],
  },
  { name: "always", of: model("enable_thinking", ["on"], false), why: "always", choices: ["model"] },
  { name: "never", of: model("enable_thinking", ["off"], false), why: "never", choices: ["model"] },
] as const;

for (const { name, of, why, choices } of ROWS) {
  test(`the thinking switch: ${name}`, () => {
    assert.equal(noSwitchOf(of), why);
    assert.deepEqual(thinkingChoices(of), choices);
    assert.equal(takesEffort(of), why !== "never");
  });
}

test("only models for chats, whatever else is missing", () => {
  const found = modelsOf({ data: [{ id: "e", kind: "embedding" }, { id: "c", kind: "chat" }, null] });
  assert.deepEqual(
    found.map(({ id, takesPictures }) => [id, takesPictures]),
    [["c", false]],
  );
  assert.deepEqual(modelsOf(null), []);
});
