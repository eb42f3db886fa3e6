/** `attempt_errors` of a row of the ledger, taken apart again. What it is made of: `llmgw.pipeline.failure`. */

export interface FailedAttempt {
  upstream: string;
  /** As an `error_kind`; null: words that this console does not know, which are in `said`. */
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

/** In what an upstream says, anything may stand between quotes; between two attempts there is `, NAME: `. */
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
const FORMS: readonly (readonly [RegExp, (found: RegExpExecArray) => Partial<FailedAttempt>])[] = [
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

function attemptOf(part: string): FailedAttempt {
  const colon = part.indexOf(": ");
  const upstream = colon < 0 ? "" : part.slice(0, colon);
  const reason = colon < 0 ? part : part.slice(colon + 2);
  const nothing = { upstream, kind: null, status: null, cause: null, code: null, message: null };
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

/** The failures in their order; none where the row has none. */
export function attemptsOf(text: string | null): FailedAttempt[] {
  return text === null ? [] : split(text).map(attemptOf);
}
