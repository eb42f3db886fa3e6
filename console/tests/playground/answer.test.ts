import assert from "node:assert/strict";
import { test } from "node:test";
import { absorbEvent, absorbWhole, nothingYet, paceOf, usageOf } from "../../src/pages/playground/answer.ts";

function streamed(...frames: object[]) {
  const incoming = nothingYet();
  for (const frame of frames) absorbEvent(incoming, JSON.stringify(frame));
  return incoming;
}

function delta(said: object, finish: string | null = null) {
  return { model: "m", choices: [{ index: 0, delta: said, finish_reason: finish }] };
}

test("reasoning and text are kept apart", () => {
  const incoming = streamed(
    delta({ role: "assistant", content: null, reasoning_content: "" }),
    delta({ reasoning_content: "I thi", content: null }),
    delta({ reasoning_content: "nk" }),
    delta({ content: "So", reasoning_content: null }),
    delta({ content: "." }, "stop"),
  );
  assert.equal(incoming.reasoning, "I think");
  assert.equal(incoming.text, "So.");
  assert.equal(incoming.finishReason, "stop");
  assert.equal(incoming.model, "m");
  assert.equal(incoming.isComplete, false);
  absorbEvent(incoming, "[DONE]");
  assert.equal(incoming.isComplete, true);
});

test("tool calls are put together by their numbers", () => {
  const call = (index: number, more: object, id?: string) => ({
    tool_calls: [{ index, ...(id === undefined ? {} : { id, type: "function" }), function: more }],
  });
  const { calls } = streamed(
    delta(call(0, { name: "get_weather", arguments: "" }, "a")),
    delta(call(1, { name: "get_time", arguments: '{"ci' }, "b")),
    delta(call(0, { arguments: '{"city":' })),
    delta(call(1, { arguments: 'ty": 1}' })),
    delta(call(0, { arguments: '"巴黎"}' }), "tool_calls"),
  );
  assert.deepEqual(calls, [
    { id: "a", name: "get_weather", arguments: '{"city":"巴黎"}', result: "" },
    { id: "b", name: "get_time", arguments: '{"city": 1}', result: "" },
  ]);
});

test("usage comes in a frame without choices", () => {
  const { usage } = streamed(delta({ content: "x" }), {
    choices: [],
    usage: { prompt_tokens: 11, completion_tokens: 7, completion_tokens_details: { reasoning_tokens: 3 } },
  });
  assert.deepEqual(usage, {
    prompt_tokens: 11,
    completion_tokens: 7,
    "completion_tokens_details.reasoning_tokens": 3,
  });
});

test("an error in the midst keeps what came", () => {
  const incoming = streamed(delta({ content: "half" }), {
    error: { message: "Connection lost", type: "upstream_error", param: null, code: "upstream_error" },
  });
  assert.equal(incoming.text, "half");
  assert.deepEqual(incoming.error, { message: "Connection lost", code: "upstream_error" });
  assert.equal(incoming.isComplete, false);
});

for (const junk of [
  "",
  "{",
  "null",
  "[]",
  '"x"',
  "{}",
  '{"choices":[]}',
  '{"choices":[null]}',
  '{"choices":{}}',
]) {
  test(`passes over ${junk || "nothing"}`, () => {
    const incoming = nothingYet();
    absorbEvent(incoming, junk);
    assert.equal(incoming.text, "");
    assert.equal(incoming.isComplete, false);
    assert.equal(incoming.error, null);
  });
}

test("other choices than the first are passed over", () => {
  const incoming = streamed(
    { choices: [{ index: 1, delta: { content: "other" } }] },
    delta({ content: "own" }),
  );
  assert.equal(incoming.text, "own");
});

test("a whole answer", () => {
  const incoming = nothingYet();
  const call = { id: "a", type: "function", function: { name: "f", arguments: "{}" } };
  const message = { role: "assistant", content: null, tool_calls: [call, { ...call, id: "b" }] };
  absorbWhole(incoming, {
    model: "m",
    choices: [{ index: 0, message, finish_reason: "tool_calls" }],
    usage: {},
  });
  assert.deepEqual(
    incoming.calls.map(({ id }) => id),
    ["a", "b"],
  );
  assert.equal(incoming.isComplete, true);
});

test("usage by path", () => {
  assert.deepEqual(usageOf({ a: 1, b: { c: 2, d: { e: 3 } }, f: "x", g: null }), {
    a: 1,
    "b.c": 2,
    "b.d.e": 3,
  });
});

test("pace", () => {
  const moments = { asked: 1000, first: 1500, answer: 2000, end: 3500 };
  const usage = { completion_tokens: 100 };
  assert.deepEqual(paceOf(moments, usage, true), { firstS: 0.5, answerS: 1, totalS: 2.5, tokensPerS: 50 });
  assert.deepEqual(paceOf(moments, usage, false), {
    firstS: null,
    answerS: null,
    totalS: 2.5,
    tokensPerS: 40,
  });
  assert.equal(paceOf(moments, null, true).tokensPerS, null);
  assert.equal(paceOf({ ...moments, first: 3495 }, usage, true).tokensPerS, null); // it came at once
  assert.equal(paceOf({ ...moments, first: null, end: null }, usage, true).tokensPerS, null);
});
