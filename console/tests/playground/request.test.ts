import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyOf } from "../../src/pages/playground/body.ts";
import {
  type Entry,
  messagesOf,
  type Said,
  upTo,
  withWritten,
} from "../../src/pages/playground/conversation.ts";
import { DEFAULTS, type Lane, problemsOf } from "../../src/pages/playground/settings.ts";
import { snippetOf, withoutData } from "../../src/pages/playground/snippets.ts";

const LANE: Lane = { model: "glm-5", thinking: "model", effort: "" };
const HELLO = [{ role: "user", content: "Hello" } as const];
const call = (id: string, result: string) => ({ id, name: "f", arguments: "{}", result });

function written(id: number, role: "system" | "user" | "assistant", text: string): Entry<Said> {
  return { kind: "written", id, role, text, pictures: [] };
}

const same = (said: Said): Said => said;

test("each model gets its own answers back", () => {
  const entries: Entry<Said>[] = [
    written(1, "user", "a"),
    {
      kind: "round",
      id: 2,
      answers: [
        { text: "one", calls: [] },
        { text: "two", calls: [] },
      ],
    },
    written(3, "user", "b"),
  ];
  const of = (lane: number) => messagesOf(entries, lane, same).map((each) => each.content);
  assert.deepEqual(of(0), ["a", "one", "b"]);
  assert.deepEqual(of(1), ["a", "two", "b"]);
});

test("a model that was added later takes up the first one's answers", () => {
  const entries: Entry<Said>[] = [
    written(1, "user", "a"),
    { kind: "round", id: 2, answers: [{ text: "one", calls: [] }] },
  ];
  assert.deepEqual(messagesOf(entries, 1, same).at(-1), { role: "assistant", content: "one" });
});

test("a round of another model's tool results says nothing to this one", () => {
  const entries: Entry<Said>[] = [
    {
      kind: "round",
      id: 1,
      answers: [
        { text: "", calls: [call("x", "18°")] },
        { text: "plain", calls: [] },
      ],
    },
    { kind: "round", id: 2, answers: [{ text: "warm", calls: [] }, null] },
  ];
  assert.deepEqual(messagesOf(entries, 0, same), [
    {
      role: "assistant",
      content: null,
      tool_calls: [{ id: "x", type: "function", function: { name: "f", arguments: "{}" } }],
    },
    { role: "tool", tool_call_id: "x", content: "18°" },
    { role: "assistant", content: "warm" },
  ]);
  assert.deepEqual(messagesOf(entries, 1, same), [{ role: "assistant", content: "plain" }]);
});

test("pictures are parts, of the user's messages alone", () => {
  const pictures = [{ url: "https://example.com/a.png", name: "a" }];
  const shown = { type: "image_url", image_url: { url: "https://example.com/a.png" } };
  const of = (role: "user" | "assistant", text: string) =>
    messagesOf([{ kind: "written", id: 1, role, text, pictures }], 0, same)[0]?.content;
  assert.deepEqual(of("user", "See"), [{ type: "text", text: "See" }, shown]);
  assert.deepEqual(of("user", ""), [shown]);
  assert.equal(of("assistant", "See"), "See");
});

test("a system message goes before the others", () => {
  let entries: Entry<Said>[] = [];
  for (const [id, role] of [
    [1, "user"],
    [2, "system"],
    [3, "system"],
    [4, "user"],
  ] as const) {
    const next = written(id, role, "");
    if (next.kind === "written") entries = withWritten(entries, next);
  }
  assert.deepEqual(
    entries.map(({ id }) => id),
    [2, 3, 1, 4],
  );
  assert.deepEqual(
    upTo(entries, 1, { inclusive: false }).map(({ id }) => id),
    [2, 3],
  );
});

test("what is not chosen is not sent", () => {
  assert.deepEqual(bodyOf(LANE, HELLO, { ...DEFAULTS, stream: false }), { model: "glm-5", messages: HELLO });
  assert.deepEqual(bodyOf(LANE, HELLO, DEFAULTS), {
    model: "glm-5",
    messages: HELLO,
    stream: true,
    stream_options: { include_usage: true },
  });
});

test("all that can be chosen", () => {
  const body = bodyOf({ ...LANE, thinking: "off", effort: "low" }, HELLO, {
    stream: false,
    temperature: "0",
    topP: "0.9",
    maxTokens: "100",
    seed: "-3",
    stop: "\nEND\n ",
    tools: '[{"type": "function", "function": {"name": "f"}}]',
    toolChoice: "required",
    format: "json_schema",
    schema: '{"name": "a", "schema": {}}',
    further: '{"thinking": {"type": "disabled"}}',
  });
  assert.deepEqual(body, {
    model: "glm-5",
    messages: HELLO,
    llmgw_thinking: false,
    reasoning_effort: "low",
    temperature: 0,
    top_p: 0.9,
    max_tokens: 100,
    seed: -3,
    stop: ["END", " "],
    tools: [{ type: "function", function: { name: "f" } }],
    tool_choice: "required",
    response_format: { type: "json_schema", json_schema: { name: "a", schema: {} } },
    thinking: { type: "disabled" },
  });
});

test("problems are found", () => {
  const found = problemsOf({
    ...DEFAULTS,
    temperature: "warm",
    topP: "0,9",
    maxTokens: "1.5",
    seed: "9007199254740993",
    tools: "{}",
    format: "json_schema",
    further: "{",
  });
  assert.deepEqual(
    Object.entries(found).map(([field, problem]) => [field, problem?.kind]),
    [
      ["temperature", "number"],
      ["topP", "number"],
      ["maxTokens", "integer"],
      ["seed", "integer"],
      ["tools", "array"],
      ["further", "json"],
      ["schema", "missing"],
    ],
  );
  assert.deepEqual(problemsOf(DEFAULTS), {});
  assert.deepEqual(problemsOf({ ...DEFAULTS, format: "text", schema: "{" }), {}); // it is not sent
});

const TRICKY = [{ role: "user", content: 'it\'s "quoted" \\ 中文\n$HOME `x`' } as const];

test("curl sends the body, whatever is in it", () => {
  const body = bodyOf(LANE, TRICKY, DEFAULTS);
  const shell = snippetOf("curl", body, "http://h:1");
  const data = /--data-raw '(.*)'$/s.exec(shell)?.[1]?.replaceAll("'\\''", "'");
  assert.deepEqual(JSON.parse(data ?? ""), body);
  assert.match(shell, /^curl -N http:\/\/h:1\/v1\/chat\/completions \\$/m);
  assert.match(shell, /"Authorization: Bearer \$LLMGW_API_KEY"/);
});

test("Python gets what the SDK does not know in extra_body", () => {
  const body = bodyOf({ ...LANE, thinking: "on" }, HELLO, {
    ...DEFAULTS,
    stream: false,
    further: '{"a": [null, {}]}',
  });
  const code = snippetOf("python", body, "http://h:1");
  assert.match(
    code,
    /^ {4}extra_body=\{\n {8}"llmgw_thinking": True,\n {8}"a": \[\n {12}None,\n {12}\{\},\n {8}\],\n {4}\},$/m,
  );
  assert.match(code, /base_url="http:\/\/h:1\/v1", api_key=os.environ\["LLMGW_API_KEY"\]/);
  assert.ok(!code.includes("stream="));
});

test("Node gets the body as it is", () => {
  const body = bodyOf(LANE, TRICKY, DEFAULTS);
  const code = snippetOf("node", body, "http://h:1");
  const sent = /create\((.*?)\);\nfor await/s.exec(code)?.[1];
  assert.deepEqual(JSON.parse(sent ?? ""), body);
});

test("pictures are cut short for reading alone", () => {
  const url = `data:image/png;base64,${"A".repeat(500)}`;
  assert.ok(withoutData(`"${url}"`).length < 80);
  assert.equal(withoutData('"data:image/png;base64,AAAA"'), '"data:image/png;base64,AAAA"');
});
