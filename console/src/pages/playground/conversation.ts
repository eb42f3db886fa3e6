/** What is said, apart from how it looks: the messages, and how they are sent. No DOM here. */

export type Role = "system" | "user" | "assistant";
export const ROLES: readonly Role[] = ["user", "assistant", "system"];

/** A picture of a message: a `data:` URL of a file, or an address that only the provider loads. */
export interface Picture {
  url: string;
  /** Of the file; the address itself where it is one. */
  name: string;
}

/** A message that a person wrote. Every model gets it. */
export interface Written {
  kind: "written";
  id: number;
  role: Role;
  text: string;
  pictures: readonly Picture[];
}

/** A tool call of an answer, and what the person says the tool returned. */
export interface Call {
  id: string;
  name: string;
  /** JSON as the model wrote it, which may be none. */
  arguments: string;
  result: string;
}

/** What of an answer goes back to its model. */
export interface Said {
  text: string;
  calls: readonly Call[];
}

/** One answer for each model that was asked, in the order of the models; null: that one was not asked. */
export interface Round<Answer> {
  kind: "round";
  id: number;
  answers: readonly (Answer | null)[];
}

export type Entry<Answer> = Written | Round<Answer>;

export type WirePart = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

export interface WireCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export type WireMessage =
  | { role: "system"; content: string }
  | { role: "user"; content: string | WirePart[] }
  | { role: "assistant"; content: string | null; tool_calls?: WireCall[] }
  | { role: "tool"; tool_call_id: string; content: string };

/**
 * The messages for the model at `lane`. It gets its own answers back; where it gave none because it was chosen
 * later, those of the first model that did. Answers that say nothing are left out.
 */
export function messagesOf<Answer>(
  entries: readonly Entry<Answer>[],
  lane: number,
  saidBy: (answer: Answer) => Said,
): WireMessage[] {
  return entries.flatMap((entry) => {
    if (entry.kind === "written") return [wireOf(entry)];
    const answer = answerFor(entry, lane);
    return answer === null ? [] : wireOfSaid(saidBy(answer));
  });
}

function answerFor<Answer>(round: Round<Answer>, lane: number): Answer | null {
  const own = round.answers[lane];
  if (own !== undefined) return own; // null too: others called tools in this round
  return round.answers.find((each) => each !== null) ?? null;
}

function wireOf({ role, text, pictures }: Written): WireMessage {
  if (role !== "user" || pictures.length === 0) return { role, content: text };
  const shown = pictures.map(({ url }): WirePart => ({ type: "image_url", image_url: { url } }));
  return { role, content: text === "" ? shown : [{ type: "text", text }, ...shown] };
}

function wireOfSaid({ text, calls }: Said): WireMessage[] {
  if (calls.length === 0) return text === "" ? [] : [{ role: "assistant", content: text }];
  const made = calls.map(
    (call): WireCall => ({
      id: call.id,
      type: "function",
      function: { name: call.name, arguments: call.arguments },
    }),
  );
  const results = calls.map(
    (call): WireMessage => ({ role: "tool", tool_call_id: call.id, content: call.result }),
  );
  return [{ role: "assistant", content: text === "" ? null : text, tool_calls: made }, ...results];
}

/** With one more message: a system message goes before all others but system messages. */
export function withWritten<Answer>(entries: readonly Entry<Answer>[], written: Written): Entry<Answer>[] {
  if (written.role !== "system") return [...entries, written];
  const isSystem = (each: Entry<Answer>): boolean => each.kind === "written" && each.role === "system";
  const first = entries.findIndex((each) => !isSystem(each));
  return first < 0 ? [...entries, written] : entries.toSpliced(first, 0, written);
}

/** What comes before an entry; with the entry itself if `inclusive`. */
export function upTo<Answer>(
  entries: readonly Entry<Answer>[],
  id: number,
  { inclusive }: { inclusive: boolean },
): Entry<Answer>[] {
  const at = entries.findIndex((each) => each.id === id);
  return at < 0 ? [...entries] : entries.slice(0, at + (inclusive ? 1 : 0));
}
