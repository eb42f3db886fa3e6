import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { laidOut } from "../../lib/json.ts";
import { Button, Field } from "../../ui/basics.tsx";
import { isSendKey } from "./editor.tsx";
import { type Asked, setResult } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

interface CallsProps {
  asked: Asked;
  onSend: () => void;
  /** Whether the answer has ended. */
  isLast: boolean;
}

/** The tool calls of an answer. The person plays the tool: types what it returns, and goes on. */
export function Calls({ asked, onSend, isLast }: CallsProps): JSX.Element {
  const t = textsOf(PLAYGROUND).answer;
  const { calls, phase } = asked.state.value;
  return (
    <div class="stack calls">
      {calls.map((call, index) => (
        <section key={index} class="call stack tight" aria-label={`${t.calls}: ${call.name}`}>
          <div class="mono">
            <strong>{call.name}</strong>
          </div>
          {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
          <pre tabIndex={0}>{laidOut(call.arguments)}</pre>
          {isLast && phase === "done" ? (
            <Field label={t.result}>
              {(id) => (
                <textarea
                  id={id}
                  class="input mono"
                  rows={Math.min(Math.max(1, call.result.split("\n").length), 10)}
                  placeholder={t.resultHint}
                  value={call.result}
                  onInput={(event) => setResult(asked, index, event.currentTarget.value)}
                  onKeyDown={(event) => {
                    if (!isSendKey(event)) return;
                    event.preventDefault();
                    onSend();
                  }}
                />
              )}
            </Field>
          ) : null}
        </section>
      ))}
      {isLast && phase === "done" ? (
        <div class="row end">
          <Button look="primary" icon="send" onClick={onSend}>
            {t.sendResults}
          </Button>
        </div>
      ) : null}
    </div>
  );
}
