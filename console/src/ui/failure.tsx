import type { JSX } from "preact";
import { causeWords, kindName } from "../i18n/error-kinds.ts";
import { texts, textsOf } from "../i18n/texts.ts";
import type { Failure } from "../lib/failures.ts";

const TEXTS = texts(
  { status: (status: string) => `status ${status}` },
  { status: (status) => `状态码 ${status}` },
);

/** What an attempt failed with, and what the upstream said of it. */
export function FailureText({ of: failure }: { of: Failure }): JSX.Element {
  const t = textsOf(TEXTS);
  const { kind, status, cause, code, message } = failure;
  const facts = [
    // "Error status" says less than the status.
    kind === null || kind === "status" ? null : kindName(kind),
    status === null ? null : t.status(String(status)),
    cause === null ? null : causeWords(cause),
  ].filter((each) => each !== null);
  return (
    <span class="failure">
      {facts.join(" · ")} {code === null ? null : <code>{code}</code>}{" "}
      {message === null ? null : <q>{message}</q>}
    </span>
  );
}
