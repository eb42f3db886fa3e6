// Vercel's AI SDK over @ai-sdk/openai-compatible.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, jsonSchema, streamText, tool } from "ai";

import { baseURL, blank, eachTask } from "./common.mjs";

function messagesOf(task) {
  if (!task.image) return [{ role: "user", content: task.prompt }];
  const image = { type: "image", image: task.image };
  return [{ role: "user", content: [{ type: "text", text: task.prompt }, image] }];
}

// Tools without `execute`: the SDK hands the calls to us.
function toolsOf(task) {
  const described = task.tools.map(({ function: { name, description, parameters } }) => [
    name,
    tool({ description, inputSchema: jsonSchema(parameters) }),
  ]);
  return Object.fromEntries(described);
}

// The SDK's own names, put into the API's.
function usageOf({ inputTokens, outputTokens, totalTokens }) {
  if (inputTokens === undefined) return null;
  return { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: totalTokens };
}

function note(seen, { text, reasoningText, toolCalls, finishReason, usage }) {
  seen.text = text;
  seen.reasoning = reasoningText ?? "";
  seen.finish_reason = finishReason.replaceAll("-", "_");
  seen.usage = usageOf(usage);
  seen.tool_calls = toolCalls.map(({ toolCallId, toolName, input }) => ({
    id: toolCallId, name: toolName, arguments: input,
  }));
}

async function plain(request, seen) {
  const result = await generateText(request);
  note(seen, result);
  return result.response.messages;
}

async function streamed(request, seen) {
  const result = streamText({ ...request, onError: () => {} });
  for await (const part of result.fullStream) {
    if (part.type === "text-delta") seen.text += part.text;
    if (part.type === "error") throw part.error;
  }
  const [text, reasoningText, toolCalls, finishReason, usage, response] = await Promise.all([
    result.text, result.reasoningText, result.toolCalls, result.finishReason, result.usage, result.response,
  ]);
  note(seen, { text, reasoningText, toolCalls, finishReason, usage });
  return response.messages;
}

await eachTask(async (task) => {
  const provider = createOpenAICompatible({
    name: "llmgw", baseURL, apiKey: task.api_key, includeUsage: Boolean(task.stream_options),
  });
  const messages = messagesOf(task);
  const request = {
    model: provider(task.model), messages, seed: task.seed, maxRetries: 0,
    providerOptions: { llmgw: task.extra },
    ...(task.tools && { tools: toolsOf(task) }),
  };
  const ask = task.stream ? streamed : plain;
  const seen = blank(task);
  try {
    const said = await ask(request, seen);
    if (task.tool_result) {
      const content = seen.tool_calls.map(({ id, name }) => ({
        type: "tool-result", toolCallId: id, toolName: name,
        output: { type: "text", value: task.tool_result },
      }));
      const after = blank(task);
      await ask({ ...request, messages: [...messages, ...said, { role: "tool", content }] }, after);
      seen.text_after_tools = after.text;
    }
  } catch (error) {
    // Before a stream: the body's error. In the middle of one: the SDK's error has the code itself.
    const { code = error.code, message = error.message } = error.data?.error ?? {};
    seen.error = { status: error.statusCode ?? null, code, message };
  }
  return seen;
});
