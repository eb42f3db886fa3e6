import type { JSX } from "preact";
import { failureWords } from "../../i18n/error-kinds.ts";
import { textsOf } from "../../i18n/texts.ts";
import { StatusTag } from "../../ui/status.tsx";
import { type Detail, FIRST_ERROR } from "./details.tsx";
import { REQUESTS } from "./texts.ts";

/** Whether it worked, and if not, why and what to do. */
export function Outcome({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const { error_kind: kind, status } = request;
  const words = kind === null ? null : failureWords(kind, status);
  const brokeOff = kind !== null && status < FIRST_ERROR;
  return (
    <section class="stack" aria-label={t.what}>
      <div class="row">
        <StatusTag status={status} kind={kind} />
        {kind === null ? (
          status < FIRST_ERROR ? (
            t.worked
          ) : null
        ) : (
          <>
            <strong>{words?.name ?? kind}</strong>
            {words === null || words.name === kind ? null : <code class="muted">{kind}</code>}
          </>
        )}
      </div>
      {words === null ? null : (
        <p>
          {brokeOff ? `${t.brokeOff} ` : null}
          {words.what}
        </p>
      )}
    </section>
  );
}
