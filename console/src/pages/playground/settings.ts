/** What a person may choose of a request, and what is wrong with it. No DOM here. */
import { isObject } from "../../lib/json.ts";

export type Thinking = "model" | "on" | "off";
export type Format = "text" | "json_object" | "json_schema";

/** A model that is asked, and how it thinks. */
export interface Lane {
  /** Empty: none is chosen yet. */
  model: string;
  /** `model`: no switch is sent. */
  thinking: Thinking;
  /** `reasoning_effort`; empty: none is sent. */
  effort: string;
}

/** For all models that are asked. Numbers are as they were typed; what is empty is not sent. */
export interface Settings {
  stream: boolean;
  temperature: string;
  topP: string;
  maxTokens: string;
  seed: string;
  /** One stop sequence in each line. */
  stop: string;
  /** JSON. */
  tools: string;
  toolChoice: string;
  format: Format;
  /** JSON: the member `json_schema` of `response_format`. */
  schema: string;
  /** JSON: members that are put into the body as they are. */
  further: string;
}

export const DEFAULTS: Settings = {
  stream: true,
  temperature: "",
  topP: "",
  maxTokens: "",
  seed: "",
  stop: "",
  tools: "",
  toolChoice: "",
  format: "text",
  schema: "",
  further: "",
};

export const EFFORTS: readonly string[] = ["minimal", "low", "medium", "high", "xhigh", "max"];
export const TOOL_CHOICES: readonly string[] = ["auto", "required", "none"];

/** Why a field can't be sent. `detail`: the parser's words. */
export type Problem =
  | { kind: "number" | "integer" | "array" | "object" | "missing" }
  | { kind: "json"; detail: string };

export type Problems = { [Field in keyof Settings]?: Problem };

export type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };

/** JSON's value, or why it is none. */
export function parsed(text: string): { value: Json } | { problem: Problem } {
  try {
    return { value: JSON.parse(text) };
  } catch (error) {
    return { problem: { kind: "json", detail: error instanceof Error ? error.message : String(error) } };
  }
}

function problemOfJson(text: string, wanted: "array" | "object"): Problem | undefined {
  if (text.trim() === "") return undefined;
  const found = parsed(text);
  if ("problem" in found) return found.problem;
  const fits = wanted === "array" ? Array.isArray(found.value) : isObject(found.value);
  return fits ? undefined : { kind: wanted };
}

function problemOfNumber(text: string, wanted: "number" | "integer"): Problem | undefined {
  if (text.trim() === "") return undefined;
  const value = Number(text);
  const fits = wanted === "integer" ? Number.isSafeInteger(value) : Number.isFinite(value);
  return fits ? undefined : { kind: wanted };
}

/** All that keeps the settings from being sent. */
export function problemsOf(settings: Settings): Problems {
  const { format, schema } = settings;
  const found: Problems = {};
  const note = (field: keyof Settings, problem: Problem | undefined): void => {
    if (problem !== undefined) found[field] = problem;
  };
  note("temperature", problemOfNumber(settings.temperature, "number"));
  note("topP", problemOfNumber(settings.topP, "number"));
  note("maxTokens", problemOfNumber(settings.maxTokens, "integer"));
  note("seed", problemOfNumber(settings.seed, "integer"));
  note("tools", problemOfJson(settings.tools, "array"));
  note("further", problemOfJson(settings.further, "object"));
  if (format === "json_schema") {
    note("schema", schema.trim() === "" ? { kind: "missing" } : problemOfJson(schema, "object"));
  }
  return found;
}
