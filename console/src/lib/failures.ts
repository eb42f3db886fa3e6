/** Failed attempts in the gateway's words (`llmgw.pipeline.failure`), taken apart again. */

export interface Failure {
  /** As an `error_kind`; null: words that this console does not know, which are in `message`. */
  kind: string | null;
  /** The HTTP status, or the one that an error event named. */
  status: number | null;
  /** Why nothing could be connected to, in the gateway's words. */
  cause: string | null;
  /** The upstream's own name for its error. */
  code: string | null;
  /** The upstream's own message. */
  message: string | null;
}

export interface FailedAttempt extends Failure {
  upstream: string;
}

/** In what an upstream says, anything may be between quotes; between two attempts there is `, NAME: `. */
const BEGINS_NEXT = /^, (?=[^\s:,"]+: )/;

function split(text: string): string[] {
  const parts: string[] = [];
  let start = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (isQuoted && sign === "\\") at += 1;
    else if (sign === '"') isQuoted = !isQuoted;
    else if (!isQuoted && sign === "," && BEGINS_NEXT.test(text.slice(at, at + 200))) {
      parts.push(text.slice(start, at));
      start = at + 2;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

/** Each with what is left of the text behind it. */
const FORMS: readonly (readonly [RegExp, (found: RegExpExecArray) => Partial<Failure>])[] = [
  [/^answered (\d+), a redirect/, ([, status]) => ({ kind: "redirect", status: Number(status) })],
  [/^answered (\d+)/, ([, status]) => ({ kind: "status", status: Number(status) })],
  [
    /^sent an error(?: (\d{3})(?= |$))?/,
    ([, status]) => ({ kind: "error_event", status: status === undefined ? null : Number(status) }),
  ],
  [/^unreachable: ([^"]*)/, ([, cause = ""]) => ({ kind: "unreachable", cause: cause.trim() })],
  [/^[a-z_]+(?= |$)/, ([kind]) => ({ kind })],
];

function messageOf(quoted: string): string {
  try {
    return String(JSON.parse(quoted));
  } catch {
    return quoted.replace(/^"|"$/g, ""); // cut off with the row
  }
}

/** What one attempt failed with, out of the gateway's words for it. */
export function failureOf(reason: string): Failure {
  const nothing = { kind: null, status: null, cause: null, code: null, message: null };
  for (const [form, read] of FORMS) {
    const found = form.exec(reason);
    if (found === null) continue;
    const said = reason.slice(found[0].length).trim();
    const quote = said.indexOf('"');
    const code = (quote < 0 ? said : said.slice(0, quote)).trim();
    return {
      ...nothing,
      ...read(found),
      code: code === "" ? null : code,
      message: quote < 0 ? null : messageOf(said.slice(quote)),
    };
  }
  return { ...nothing, message: reason };
}

function attemptOf(part: string): FailedAttempt {
  const colon = part.indexOf(": ");
  if (colon < 0) return { upstream: "", ...failureOf(part) };
  return { upstream: part.slice(0, colon), ...failureOf(part.slice(colon + 2)) };
}

/** Those that `attempt_errors` of a row of the ledger tells, in their order. */
export function attemptsOf(text: string | null): FailedAttempt[] {
  return text === null ? [] : split(text).map(attemptOf);
}
