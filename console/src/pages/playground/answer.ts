/** An answer as it comes in, frame by frame or whole. No DOM here. */

import { isObject } from "../../lib/json.ts";
import type { Call } from "./conversation.ts";

/** What the provider counted: the numbers of `usage`, `completion_tokens_details.reasoning_tokens` among them. */
export type Usage = Readonly<Record<string, number>>;

/** An error that came in the midst of a stream. */
export interface StreamError {
  message: string;
  code: string;
}

/** What came so far of the first choice. It is changed in place: thousands of frames may come in a second. */
export interface Incoming {
  text: string;
  reasoning: string;
  calls: Call[];
  /** Places in `calls` of the stream's own numbers. */
  places: Map<number, number>;
  finishReason: string | null;
  usage: Usage | null;
  /** As the provider calls it. */
  model: string | null;
  error: StreamError | null;
  /** Whether `[DONE]`, or the whole answer, is there. */
  isComplete: boolean;
  /** Frames with a JSON object that is no error. */
  frames: number;
}

export function nothingYet(): Incoming {
  return {
    text: "",
    reasoning: "",
    calls: [],
    places: new Map(),
    finishReason: null,
    usage: null,
    model: null,
    error: null,
    isComplete: false,
    frames: 0,
  };
}

/** Take in the data of one event of a stream. Other data than a frame of the gateway is left out. */
export function absorbEvent(into: Incoming, data: string): void {
  if (data === "[DONE]") {
    into.isComplete = true;
    return;
  }
  const frame = jsonObject(data);
  if (frame === null) return;
  if (isObject(frame["error"])) {
    into.error = { message: textOf(frame["error"]["message"]), code: textOf(frame["error"]["code"]) };
    return;
  }
  into.frames += 1;
  takeCommon(into, frame);
  const choice = firstChoice(frame);
  if (choice === null) return;
  if (typeof choice["finish_reason"] === "string") into.finishReason = choice["finish_reason"];
  if (isObject(choice["delta"])) takeDelta(into, choice["delta"]);
}

/** Take in an answer that did not stream. */
export function absorbWhole(into: Incoming, answer: unknown): void {
  if (!isObject(answer)) return;
  takeCommon(into, answer);
  const choice = firstChoice(answer);
  if (choice === null) return;
  if (typeof choice["finish_reason"] === "string") into.finishReason = choice["finish_reason"];
  if (isObject(choice["message"])) takeDelta(into, choice["message"]);
  into.isComplete = true;
}

function takeCommon(into: Incoming, frame: Record<string, unknown>): void {
  if (typeof frame["model"] === "string") into.model = frame["model"];
  if (isObject(frame["usage"])) into.usage = usageOf(frame["usage"]);
}

/** A delta of a stream, and a message too, which is one delta with all of it. */
function takeDelta(into: Incoming, delta: Record<string, unknown>): void {
  into.text += textOf(delta["content"]) + textOf(delta["refusal"]);
  into.reasoning += textOf(delta["reasoning_content"]);
  const calls = delta["tool_calls"];
  if (Array.isArray(calls)) {
    calls.forEach((call: unknown, position) => {
      if (isObject(call)) takeCall(into, call, position);
    });
  }
}

/** Calls are told apart by `index`; in a whole message by their place. */
function takeCall(into: Incoming, delta: Record<string, unknown>, position: number): void {
  const number = typeof delta["index"] === "number" ? delta["index"] : position;
  let place = into.places.get(number);
  if (place === undefined) {
    place = into.calls.length;
    into.places.set(number, place);
    into.calls.push({ id: "", name: "", arguments: "", result: "" });
  }
  const call = into.calls[place];
  if (call === undefined) return;
  const said = isObject(delta["function"]) ? delta["function"] : {};
  into.calls[place] = {
    ...call,
    id: call.id + textOf(delta["id"]),
    name: call.name + textOf(said["name"]),
    arguments: call.arguments + textOf(said["arguments"]),
  };
}

function firstChoice(frame: Record<string, unknown>): Record<string, unknown> | null {
  const choices = frame["choices"];
  if (!Array.isArray(choices)) return null;
  const all: unknown[] = choices;
  return all.filter(isObject).find((each) => (each["index"] ?? 0) === 0) ?? null;
}

/** Every number of a `usage` object, by its path. */
export function usageOf(usage: Record<string, unknown>, before = ""): Usage {
  const found: Record<string, number> = {};
  for (const [name, value] of Object.entries(usage)) {
    if (typeof value === "number") found[`${before}${name}`] = value;
    else if (isObject(value)) Object.assign(found, usageOf(value, `${before}${name}.`));
  }
  return found;
}

function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** When things came, in milliseconds of one clock. */
export interface Moments {
  asked: number;
  /** Of the first reasoning, text or call. */
  first: number | null;
  /** Of the first text or call. */
  answer: number | null;
  end: number | null;
}

export interface Pace {
  firstS: number | null;
  answerS: number | null;
  totalS: number | null;
  /** Completion tokens in a second, from the first one on; of a whole answer, from the request on. */
  tokensPerS: number | null;
}

/** In less time than this an answer came at once, and that tells nothing of the model's rate. */
const SHORTEST_MS = 10;

export function paceOf(moments: Moments, usage: Usage | null, isStream: boolean): Pace {
  const { asked, first, answer, end } = moments;
  const since = (at: number | null): number | null => (at === null ? null : (at - asked) / 1000);
  const tokens = usage?.["completion_tokens"];
  const begin = isStream ? first : asked;
  const isKnown = tokens !== undefined && begin !== null && end !== null && end - begin >= SHORTEST_MS;
  return {
    firstS: isStream ? since(first) : null,
    answerS: isStream ? since(answer) : null,
    totalS: since(end),
    tokensPerS: isKnown ? tokens / ((end - begin) / 1000) : null,
  };
}
