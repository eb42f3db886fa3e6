import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { endedBy, signIn } from "../api/session.ts";
import { SHELL } from "../i18n/shell.ts";
import { textsOf } from "../i18n/texts.ts";
import { useAction } from "../lib/resource.ts";
import { Preferences } from "../shell/preferences.tsx";
import { Button, Checkbox, FaultNote, Field } from "../ui/basics.tsx";
import { Code } from "../ui/copy.tsx";
import { Mark } from "../ui/icons.tsx";

const CREATE_KEY = "llmgw keys create --admin --name me";

export function SignIn(): JSX.Element {
  const t = textsOf(SHELL).signIn;
  const [secret, setSecret] = useState("");
  const [isShown, setShown] = useState(false);
  const { run, isRunning, fault } = useAction(signIn);
  const ended = endedBy.value;
  const type = isShown ? ({ type: "text" } as const) : ({ type: "password" } as const);
  return (
    <main class="gate">
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (secret.trim() !== "") run(secret.trim());
        }}
      >
        <h1 class="brand">
          <Mark /> {t.title}
        </h1>
        {ended === null || fault !== undefined ? null : (
          <div class="note warn" role="status">
            {t.ended} {ended.message}
          </div>
        )}
        <Field label={t.key} hint={t.keyHint}>
          {(id) => (
            <input
              id={id}
              class="input mono"
              {...type}
              autocomplete="off"
              spellcheck={false}
              placeholder="sk-gtw-…"
              value={secret}
              onInput={(event) => setSecret(event.currentTarget.value)}
            />
          )}
        </Field>
        <Checkbox label={t.show} checked={isShown} onChange={setShown} />
        {fault === undefined ? null : <FaultNote fault={fault} />}
        <Button type="submit" look="primary" isBusy={isRunning} disabled={secret.trim() === ""}>
          {t.submit}
        </Button>
        <p class="muted small">{t.kept}</p>
        <p class="muted small">{t.noKey}</p>
        <Code text={CREATE_KEY} label={CREATE_KEY} />
        <Preferences />
      </form>
    </main>
  );
}
