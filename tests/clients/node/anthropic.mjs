// Anthropic's SDK for Node. What it saw goes out in chat's words.
import Anthropic from "@anthropic-ai/sdk";

import { baseURL, blank, eachTask } from "./common.mjs";

const FINISH_REASONS = { end_turn: "stop", max_tokens: "length", tool_use: "tool_calls" };

function messagesOf(task) {
  if (!task.image) return [{ role: "user", content: task.prompt }];
  const [media_type, data] = task.image.replace("data:", "").split(";base64,");
  const picture = { type: "image", source: { type: "base64", media_type, data } };
  return [{ role: "user", content: [{ type: "text", text: task.prompt }, picture] }];
}

function requestOf(task) {
  const { model, seed, extra } = task;
  const request = { model, max_tokens: 4096, messages: messagesOf(task), seed, ...extra };
  if (task.tools) {
    request.tools = task.tools.map(({ function: { name, description, parameters } }) => ({
      name, description, input_schema: parameters,
    }));
  }
  // Thinking is shown to those who ask for it.
  if (task.stream && !("llmgw_thinking" in extra)) {
    request.thinking = { type: "adaptive", display: "summarized" };
  }
  return request;
}

function note(message, task, seen) {
  const of = (type) => message.content.filter((block) => block.type === type);
  seen.text = of("text").map(({ text }) => text).join("");
  seen.reasoning = of("thinking").map(({ thinking }) => thinking).join("");
  seen.finish_reason = FINISH_REASONS[message.stop_reason];
  seen.tool_calls = of("tool_use").map(({ id, name, input }) => ({ id, name, arguments: JSON.stringify(input) }));
  // Anthropic's answers always have it; others only where it was asked for.
  if (!task.stream || task.stream_options) {
    const { input_tokens, cache_read_input_tokens, output_tokens } = message.usage;
    const prompt_tokens = input_tokens + cache_read_input_tokens;
    seen.usage = {
      prompt_tokens, completion_tokens: output_tokens, total_tokens: prompt_tokens + output_tokens,
    };
  }
}

// What came before an error stays noted.
async function ask(client, request, task, seen) {
  let message;
  if (task.stream) {
    const stream = client.messages.stream(request);
    stream.on("text", (text) => (seen.text += text));
    message = await stream.finalMessage();
  } else {
    message = await client.messages.create(request);
  }
  note(message, task, seen);
  return message;
}

await eachTask(async (task) => {
  const client = new Anthropic({ baseURL: baseURL.replace(/\/v1$/, ""), apiKey: task.api_key, maxRetries: 0 });
  const request = requestOf(task);
  const seen = blank(task);
  try {
    const said = await ask(client, request, task, seen);
    if (task.tool_result) {
      const results = seen.tool_calls.map(({ id }) => ({
        type: "tool_result", tool_use_id: id, content: task.tool_result,
      }));
      const history = [{ role: "assistant", content: said.content }, { role: "user", content: results }];
      const after = blank(task);
      await ask(client, { ...request, messages: [...request.messages, ...history] }, task, after);
      seen.text_after_tools = after.text;
    }
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    const message = error.error?.error?.message ?? error.message;
    seen.error = { status: error.status ?? null, message };
  }
  return seen;
});
