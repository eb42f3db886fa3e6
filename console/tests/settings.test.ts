import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { quoted } from "../src/lib/shell.ts";
import { CLIENT_IDS, type ClientId, settingsOf } from "../src/pages/access/settings.ts";

const AGENTS = readFileSync(new URL("../../docs/agents.md", import.meta.url), "utf8");
// Address and model of docs/agents.md, so that lines can be compared.
const SITE = { url: "http://127.0.0.1:8000", secret: "sk-gtw-…", model: "qwen3.6-plus", namesUsers: false };

function textOf(client: ClientId, site = SITE): string {
  return settingsOf(client, site)
    .map((piece) => piece.text)
    .join("\n");
}

for (const client of CLIENT_IDS) {
  test(`${client}: has the address and the secret`, () => {
    assert.ok(textOf(client).includes(SITE.url));
    assert.ok(textOf(client).includes(SITE.secret));
  });
}

/** The part of docs/agents.md about an agent. */
function documented(agent: string): string {
  const settings = AGENTS.slice(AGENTS.indexOf("## Settings"));
  const start = settings.indexOf(`### ${agent}\n`);
  assert.notEqual(start, -1);
  return settings.slice(start, settings.indexOf("\n### ", start + 1));
}

const TESTED: [ClientId, string][] = [
  ["claude-code", "Claude Code"],
  ["codex", "Codex"],
  ["qwen-code", "Qwen Code"],
];
for (const [client, agent] of TESTED) {
  test(`${client}: sets what docs/agents.md sets`, () => {
    const page = documented(agent);
    const lines = textOf(client)
      .replaceAll("'sk-gtw-…'", "sk-gtw-…")
      .split("\n")
      .filter((line) => /^(export|\w+ = |\[)/.test(line));
    assert.ok(lines.length > 2);
    for (const line of lines) assert.ok(page.includes(line), line);
  });
}

test("Cherry Studio puts /v1 behind the host by itself", () => {
  const host = settingsOf("cherry-studio", SITE).find(
    (piece) => piece.kind === "value" && piece.field === "host",
  );
  assert.equal(host?.text, SITE.url);
});

test("Open WebUI names its users where the key's clients may", () => {
  assert.ok(!textOf("open-webui").includes("USER_INFO"));
  assert.ok(
    textOf("open-webui", { ...SITE, namesUsers: true }).includes("ENABLE_FORWARD_USER_INFO_HEADERS=true"),
  );
});

test("whatever a model is called, a shell and JSON take it", () => {
  const model = `it's "$(odd)" \\ 模型`;
  const [piece] = settingsOf("curl", { ...SITE, model });
  const script = (piece?.text ?? "").replace("curl -N", "printf '%s\\n'");
  const printed = execFileSync("sh", ["-c", script], { encoding: "utf8" }).trim().split("\n");
  assert.equal(JSON.parse(printed.at(-1) ?? "").model, model);
});

test("a shell gets what needs no quotes without any", () => {
  assert.equal(quoted("http://h:1/v1"), "http://h:1/v1");
  assert.equal(quoted("a b"), "'a b'");
  assert.equal(quoted("it's"), "'it'\\''s'");
});
