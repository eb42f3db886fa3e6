/** The request that is sent, member by member. No DOM here. */

import { isObject } from "../../lib/json.ts";
import type { WireMessage } from "./conversation.ts";
import { type Json, type Lane, parsed, type Settings } from "./settings.ts";

/** A request body. `model` and `messages` are always there. */
export type Body = { readonly model: string; readonly messages: readonly WireMessage[] } & {
  readonly [name: string]: unknown;
};

/** The body for one model. The settings must have no problems (`problemsOf`): a field with one is left out. */
export function bodyOf(lane: Lane, messages: readonly WireMessage[], settings: Settings): Body {
  const members: Record<string, unknown> = {};
  if (settings.stream) {
    members["stream"] = true;
    members["stream_options"] = { include_usage: true };
  }
  if (lane.thinking !== "model") members["llmgw_thinking"] = lane.thinking === "on";
  if (lane.effort !== "") members["reasoning_effort"] = lane.effort;
  putNumber(members, "temperature", settings.temperature);
  putNumber(members, "top_p", settings.topP);
  putNumber(members, "max_tokens", settings.maxTokens);
  putNumber(members, "seed", settings.seed);
  const stop = settings.stop.split("\n").filter((each) => each !== "");
  if (stop.length > 0) members["stop"] = stop.length === 1 ? stop[0] : stop;
  const tools = jsonOf(settings.tools);
  if (Array.isArray(tools) && tools.length > 0) {
    members["tools"] = tools;
    if (settings.toolChoice !== "") members["tool_choice"] = settings.toolChoice;
  }
  if (settings.format === "json_object") members["response_format"] = { type: "json_object" };
  const schema = settings.format === "json_schema" ? jsonOf(settings.schema) : null;
  if (isObject(schema)) members["response_format"] = { type: "json_schema", json_schema: schema };
  const further = jsonOf(settings.further);
  return { model: lane.model, messages, ...members, ...(isObject(further) ? further : {}) };
}

function putNumber(members: Record<string, unknown>, name: string, text: string): void {
  const value = Number(text);
  if (text.trim() !== "" && Number.isFinite(value)) members[name] = value;
}

function jsonOf(text: string): Json {
  if (text.trim() === "") return null;
  const found = parsed(text);
  return "value" in found ? found.value : null;
}
