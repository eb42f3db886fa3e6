// OpenAI's SDK for Node, its Responses. What it saw goes out in chat's words.
import OpenAI from "openai";

import { baseURL, blank, eachTask } from "./common.mjs";

const FINISH_REASONS = { max_output_tokens: "length", content_filter: "content_filter" };

function inputOf(task) {
  if (!task.image) return [{ role: "user", content: task.prompt }];
  const text = { type: "input_text", text: task.prompt };
  return [{ role: "user", content: [text, { type: "input_image", image_url: task.image, detail: "auto" }] }];
}

function requestOf(task) {
  const { model, seed, extra } = task;
  const request = { model, input: inputOf(task), store: false, seed, ...extra };
  if (task.tools) {
    request.tools = task.tools.map(({ function: { name, description, parameters } }) => ({
      type: "function", name, description, parameters, strict: false,
    }));
  }
  // Reasoning is shown to those who ask for it.
  if (task.stream && !("llmgw_thinking" in extra)) request.reasoning = { summary: "auto" };
  return request;
}

function note(response, task, seen) {
  const of = (kind) => response.output.filter(({ type }) => type === kind);
  seen.text = response.output_text;
  seen.reasoning = of("reasoning").flatMap(({ summary }) => summary.map(({ text }) => text)).join("");
  seen.tool_calls = of("function_call").map(({ call_id, name, arguments: said }) => ({
    id: call_id, name, arguments: said,
  }));
  const cut = response.incomplete_details?.reason;
  seen.finish_reason = cut ? FINISH_REASONS[cut] : seen.tool_calls.length ? "tool_calls" : "stop";
  // These answers always have it; others only where it was asked for.
  if (!task.stream || task.stream_options) {
    const { input_tokens, output_tokens, total_tokens } = response.usage;
    seen.usage = { prompt_tokens: input_tokens, completion_tokens: output_tokens, total_tokens };
  }
}

// What came before an error stays noted. The SDK gives a failed response out like any other event.
async function ask(client, request, task, seen) {
  if (!task.stream) {
    const response = await client.responses.create(request);
    note(response, task, seen);
    return response.output;
  }
  const stream = client.responses.stream(request);
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") seen.text += event.delta;
    if (event.type === "response.failed") {
      const { code, message } = event.response.error;
      seen.error = { status: null, code, message };
      return [];
    }
  }
  const response = await stream.finalResponse();
  note(response, task, seen);
  return response.output;
}

await eachTask(async (task) => {
  const client = new OpenAI({ baseURL, apiKey: task.api_key, maxRetries: 0 });
  const request = requestOf(task);
  const seen = blank(task);
  try {
    const said = await ask(client, request, task, seen);
    if (task.tool_result && !seen.error) {
      const results = seen.tool_calls.map(({ id }) => ({
        type: "function_call_output", call_id: id, output: task.tool_result,
      }));
      const after = blank(task);
      await ask(client, { ...request, input: [...request.input, ...said, ...results] }, task, after);
      seen.text_after_tools = after.text;
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    seen.error = { status: error.status ?? null, code: error.code, message: error.message };
  }
  return seen;
});
