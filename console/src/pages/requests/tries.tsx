import type { JSX } from "preact";
import { kindWords } from "../../i18n/error-kinds.ts";
import { textsOf } from "../../i18n/texts.ts";
import { attemptsOf, type FailedAttempt } from "../../lib/failures.ts";
import { FailureText } from "../../ui/failure.tsx";
import type { Detail } from "./details.tsx";
import { REQUESTS } from "./texts.ts";

/** Which upstreams were asked, and what each failed with, in words. */
export function Attempts({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const { attempts, upstream } = request;
  const failed = attemptsOf(request.attempt_errors);
  if (attempts === null && failed.length === 0) return <p class="muted">{t.unknownAttempts}</p>;
  if (attempts === 0) return <p class="muted">{t.noAttempt}</p>;
  const isAnswered = attempts !== null && failed.length < attempts && request.error_kind === null;
  return (
    <>
      {attempts === null ? null : <p class="muted">{t.attemptsMade(String(attempts))}</p>}
      <ol class="tries">
        {failed.map((each, index) => (
          <Failed key={index} of={each} number={index + 1} isTold={each.kind === request.error_kind} />
        ))}
        {isAnswered ? (
          <li class="answered">
            <strong>{t.attempt(String(failed.length + 1))}</strong> {upstream} · {t.answered}
          </li>
        ) : null}
      </ol>
    </>
  );
}

interface FailedProps {
  of: FailedAttempt;
  number: number;
  /** Whether what this kind of failure means is told already. */
  isTold: boolean;
}

function Failed({ of: attempt, number, isTold }: FailedProps): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const words = attempt.kind === null ? null : kindWords(attempt.kind);
  const isSaid = attempt.code !== null || attempt.message !== null;
  return (
    <li class="failed">
      <strong>{t.attempt(String(number))}</strong> {attempt.upstream} · <FailureText of={attempt} />
      {words === null || isSaid || isTold ? null : <div class="muted small">{words.what}</div>}
    </li>
  );
}
