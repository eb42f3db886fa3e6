import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { Button, Field } from "../../ui/basics.tsx";
import { isSendKey } from "./editor.tsx";
import { parsed } from "./settings.ts";
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
          <pre tabIndex={0}>{pretty(call.arguments)}</pre>
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

/** Arguments laid out; as they are while they are no JSON yet. */
function pretty(text: string): string {
  const found = parsed(text);
  return "value" in found ? JSON.stringify(found.value, null, 2) : text;
}
