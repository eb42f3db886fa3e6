import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, unwrap } from "../../api/client.ts";
import { jsonOf } from "../../api/fault.ts";
import { askGateway } from "../../api/gateway.ts";
import { keepModelKey, mayChange, modelKey, session } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { isObject } from "../../lib/json.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, FaultNote, Field } from "../../ui/basics.tsx";
import { PLAYGROUND } from "./texts.ts";

const NAME = "console playground";
const LIVES_H = 8;

/** The key that models are asked with; null: there is none yet. */
export function secretInUse(): string | null {
  return session.value?.kind === "model" ? session.value.secret : modelKey.value;
}

/** Asks an admin for a model key, or makes one. */
export function KeyGate(): JSX.Element {
  const t = textsOf(PLAYGROUND).key;
  const [secret, setSecret] = useState("");
  const take = useAction(useKey);
  const make = useAction(makeKey);
  const fault = take.fault ?? make.fault;
  return (
    <form
      class="panel stack key-gate"
      onSubmit={(event) => {
        event.preventDefault();
        make.clear();
        void take.run(secret.trim());
      }}
    >
      <h2>{t.title}</h2>
      <p class="muted">{t.why}</p>
      <Field label={t.paste}>
        {(id) => (
          <input
            id={id}
            class="input mono"
            type="password"
            autocomplete="off"
            spellcheck={false}
            placeholder="sk-gtw-…"
            value={secret}
            onInput={(event) => setSecret(event.currentTarget.value)}
          />
        )}
      </Field>
      <div class="row">
        <Button type="submit" look="primary" isBusy={take.isRunning} disabled={secret.trim() === ""}>
          {t.use}
        </Button>
        {mayChange.value ? (
          <>
            <span class="muted">{t.or}</span>
            <Button
              icon="plus"
              isBusy={make.isRunning}
              onClick={() => {
                take.clear();
                void make.run();
              }}
            >
              {t.make}
            </Button>
          </>
        ) : null}
      </div>
      {mayChange.value ? <p class="muted small">{t.made(String(LIVES_H))}</p> : null}
      {fault === undefined ? null : <FaultNote fault={fault} />}
    </form>
  );
}

/** Keep a key if the gateway takes it: an admin key is refused there, in the gateway's words. */
async function useKey(secret: string): Promise<void> {
  await askGateway("/v1/usage/me", secret);
  keepModelKey(secret);
}

async function makeKey(): Promise<void> {
  const expires = new Date(gatewayTime() + LIVES_H * 3_600_000).toISOString();
  const body = { name: NAME, kind: "model", project: "default", expires_at: expires } as const;
  const { secret } = await unwrap(
    admin.POST("/admin/v1/keys", {
      body,
    }),
  );
  keepModelKey(secret);
}

/** For an admin: which key is used, and how to use another. */
export function KeyLine({ secret }: { secret: string }): JSX.Element {
  const t = textsOf(PLAYGROUND).key;
  const { data } = useResource(secret, (signal) => nameOf(secret, signal));
  return (
    <div class="row small muted key-line">
      <span>
        {data === undefined ? t.asksWithUnknown : t.asksWith(data)}{" "}
        <span class="mono">{secret.slice(0, 11)}…</span>
      </span>
      <Button look="plain" onClick={() => keepModelKey(null)}>
        {t.another}
      </Button>
    </div>
  );
}

async function nameOf(secret: string, signal: AbortSignal): Promise<string> {
  const answer: unknown = await jsonOf(await askGateway("/v1/usage/me", secret, { signal }));
  const key = isObject(answer) && isObject(answer["key"]) ? answer["key"] : {};
  return String(key["name"] ?? "");
}
