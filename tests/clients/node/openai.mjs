// OpenAI's SDK for Node.
import OpenAI from "openai";

import { baseURL, blank, eachTask } from "./common.mjs";

function messagesOf(task) {
  if (!task.image) return [{ role: "user", content: task.prompt }];
  const picture = { type: "image_url", image_url: { url: task.image } };
  return [{ role: "user", content: [{ type: "text", text: task.prompt }, picture] }];
}

function usageOf(usage) {
  if (!usage) return null;
  const { prompt_tokens, completion_tokens, total_tokens } = usage;
  return { prompt_tokens, completion_tokens, total_tokens };
}

async function plain(client, request, seen) {
  const completion = await client.chat.completions.create(request);
  if (completion.choices.length !== 1) throw new Error(`${completion.choices.length} choices`);
  const [{ message, finish_reason }] = completion.choices;
  seen.text = message.content ?? "";
  seen.reasoning = message.reasoning_content ?? "";
  seen.finish_reason = finish_reason;
  seen.usage = usageOf(completion.usage);
  seen.tool_calls = (message.tool_calls ?? []).map(({ id, function: called }) => ({ id, ...called }));
  return message;
}

async function streamed(client, request, seen) {
  const calls = [];
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) {
    seen.usage = usageOf(chunk.usage) ?? seen.usage;
    for (const { delta, finish_reason } of chunk.choices) {
      seen.text += delta.content ?? "";
      seen.reasoning += delta.reasoning_content ?? "";
      seen.finish_reason = finish_reason ?? seen.finish_reason;
      for (const piece of delta.tool_calls ?? []) {
        const call = (calls[piece.index] ??= { id: "", name: "", arguments: "" });
        call.id += piece.id ?? "";
        call.name += piece.function.name ?? "";
        call.arguments += piece.function.arguments;
      }
    }
  }
  seen.tool_calls = calls;
  const tool_calls = calls.map(({ id, ...called }) => ({ id, type: "function", function: called }));
  return { role: "assistant", content: seen.text || null, tool_calls };
}

await eachTask(async (task) => {
  const client = new OpenAI({ baseURL, apiKey: task.api_key, maxRetries: 0 });
  const messages = messagesOf(task);
  const request = { model: task.model, messages, seed: task.seed, ...task.extra };
  if (task.tools) request.tools = task.tools;
  if (task.stream_options) request.stream_options = task.stream_options;
  const ask = task.stream ? streamed : plain;
  const seen = blank(task);
  try {
    const said = await ask(client, request, seen);
    if (task.tool_result) {
      const results = seen.tool_calls.map(({ id }) => ({
        role: "tool", tool_call_id: id, content: task.tool_result,
      }));
      const after = blank(task);
      await ask(client, { ...request, messages: [...messages, said, ...results] }, after);
      seen.text_after_tools = after.text;
    }
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    seen.error = { status: error.status ?? null, code: error.code, message: error.message };
  }
  return seen;
});
