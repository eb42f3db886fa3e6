/** What the page holds, in memory alone: it survives going to another page, and ends with the session. */
import { effect, type Signal, signal, untracked } from "@preact/signals";
import { session } from "../../api/session.ts";
import type { Moments, Usage } from "./answer.ts";
import { type Body, bodyOf } from "./body.ts";
import {
  type Call,
  type Entry,
  messagesOf,
  type Picture,
  type Role,
  type Round,
  type Said,
  upTo,
  type WireMessage,
  type Written,
  withWritten,
} from "./conversation.ts";
import { DEFAULTS, type Lane, type Settings } from "./settings.ts";

/** `cut`: the connection ended before the answer did. `failed`: an error, at once or in the midst of it. */
export type Phase = "waiting" | "streaming" | "done" | "stopped" | "cut" | "failed";

/** An answer as it is now. */
export interface AnswerState {
  phase: Phase;
  text: string;
  reasoning: string;
  calls: readonly Call[];
  finishReason: string | null;
  usage: Usage | null;
  /** As the provider calls its model. */
  servedAs: string | null;
  moments: Moments;
  fault: Error | null;
  /** Of the answer; empty before it begins. */
  headers: readonly (readonly [string, string])[];
  requestId: string | null;
}

/** A question to one model, and its answer. */
export interface Asked {
  id: number;
  lane: Lane;
  body: Body;
  isStream: boolean;
  state: Signal<AnswerState>;
  abort: AbortController;
}

export interface Draft {
  role: Role;
  text: string;
  pictures: readonly Picture[];
}

const NEW_LANE: Lane = { model: "", thinking: "model", effort: "" };
const NEW_DRAFT: Draft = { role: "user", text: "", pictures: [] };
export const MOST_LANES = 2;

export const lanes = signal<readonly Lane[]>([NEW_LANE]);
export const settings = signal<Settings>(DEFAULTS);
export const entries = signal<readonly Entry<Asked>[]>([]);
export const draft = signal<Draft>(NEW_DRAFT);
/** How many answers are on their way. */
export const running = signal(0);
/** Whether answers are shown as they came, without their markup. */
export const isPlain = signal(false);
/** For those who can't see the page: said once, when an answer begins and when it ends. */
export const announcement = signal("");

let lastId = 0;

export function newId(): number {
  lastId += 1;
  return lastId;
}

// The next person who signs in finds nothing of this one.
effect(() => {
  if (session.value === null) untracked(clearAll);
});

function clearAll(): void {
  clear();
  lanes.value = [NEW_LANE];
  settings.value = DEFAULTS;
  draft.value = NEW_DRAFT;
}

/** Begin a new conversation with the same models and settings. */
export function clear(): void {
  stopAll();
  entries.value = [];
  announcement.value = "";
}

export function stopAll(): void {
  for (const asked of allAsked()) asked.abort.abort();
}

function allAsked(): Asked[] {
  return entries.value.flatMap((entry) =>
    entry.kind === "round" ? entry.answers.filter((each) => each !== null) : [],
  );
}

export function setLane(index: number, change: Partial<Lane>): void {
  lanes.value = lanes.value.map((lane, place) => (place === index ? { ...lane, ...change } : lane));
}

export function addLane(model: string): void {
  if (lanes.value.length < MOST_LANES) lanes.value = [...lanes.value, { ...NEW_LANE, model }];
}

/** Its answers go with it. */
export function removeLane(index: number): void {
  lanes.value = lanes.value.toSpliced(index, 1);
  entries.value = entries.value
    .map((entry) => {
      if (entry.kind === "written") return entry;
      entry.answers[index]?.abort.abort();
      return { ...entry, answers: entry.answers.toSpliced(index, 1) };
    })
    .filter((entry) => entry.kind === "written" || entry.answers.some((each) => each !== null));
}

export function setSettings(change: Partial<Settings>): void {
  settings.value = { ...settings.value, ...change };
}

export function setDraft(change: Partial<Draft>): void {
  draft.value = { ...draft.value, ...change };
}

export function isDraftEmpty({ text, pictures }: Draft): boolean {
  return text.trim() === "" && pictures.length === 0;
}

/** Put what is being written into the conversation. Nothing where nothing is written. */
export function addDraft(): void {
  if (isDraftEmpty(draft.value)) return;
  entries.value = withDraft();
  draft.value = NEW_DRAFT;
}

function withDraft(): readonly Entry<Asked>[] {
  if (isDraftEmpty(draft.value)) return entries.value;
  const { role, text, pictures } = draft.value;
  const shown = role === "user" ? pictures : [];
  return withWritten(entries.value, { kind: "written", id: newId(), role, text, pictures: shown });
}

export function change(id: number, changes: Partial<Pick<Written, "role" | "text" | "pictures">>): void {
  entries.value = entries.value.map((entry) =>
    entry.id === id && entry.kind === "written" ? { ...entry, ...changes } : entry,
  );
}

export function remove(id: number): void {
  const gone = entries.value.find((entry) => entry.id === id);
  if (gone?.kind === "round") for (const asked of gone.answers) asked?.abort.abort();
  entries.value = entries.value.filter((entry) => entry !== gone);
}

/** Drop what comes after an entry; and itself, unless `inclusive`. */
export function cutAt(id: number, inclusive: boolean): void {
  stopAll();
  entries.value = upTo(entries.value, id, { inclusive });
}

/** The request that would be sent to a model now, with what is being written. */
export function bodyNow(index: number): Body | null {
  const lane = lanes.value[index];
  return lane === undefined ? null : bodyOf(lane, wireMessages(withDraft(), index), settings.value);
}

/** The messages of a conversation for one model. */
export function wireMessages(of: readonly Entry<Asked>[], index: number): WireMessage[] {
  return messagesOf(of, index, said);
}

/** Of an answer that did not come to its end only the text: half a call is none. */
function said(asked: Asked): Said {
  const { text, calls, phase } = asked.state.value;
  return { text, calls: phase === "done" ? calls : [] };
}

/** Put a round of answers at the end, or into the last round where that has not asked these models. */
export function addAnswers(answers: readonly (Asked | null)[]): void {
  const last = entries.value.at(-1);
  const isFree =
    last?.kind === "round" && answers.every((each, index) => each === null || last.answers[index] === null);
  if (last !== undefined && isFree) {
    const joined: Round<Asked> = {
      ...last,
      answers: answers.map((each, index) => each ?? last.answers[index] ?? null),
    };
    entries.value = [...entries.value.slice(0, -1), joined];
    return;
  }
  entries.value = [...entries.value, { kind: "round", id: newId(), answers }];
}

/** What a model gets before its next answer: without the last round where that has a free place for it. */
export function entriesBefore(index: number): readonly Entry<Asked>[] {
  const last = entries.value.at(-1);
  const isFree = last?.kind === "round" && last.answers[index] === null;
  return isFree ? entries.value.slice(0, -1) : entries.value;
}

export function setResult(asked: Asked, callIndex: number, result: string): void {
  const { value } = asked.state;
  asked.state.value = {
    ...value,
    calls: value.calls.map((call, index) => (index === callIndex ? { ...call, result } : call)),
  };
}

export function setAnswerText(asked: Asked, text: string): void {
  asked.state.value = { ...asked.state.value, text };
}
