import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { quoted } from "../../lib/shell.ts";
import { Section } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { MINE } from "./texts.ts";

/** As many characters of a key as lists of keys show. */
const SHOWN_OF_KEY = 11;

/** A request of this key's own, to paste into a terminal. */
export function HowTo({ secret, model }: { secret: string; model: string }): JSX.Element {
  const t = textsOf(MINE);
  const messages = [{ role: "user", content: "Why is the sky blue?" }];
  const body = JSON.stringify({ model, messages, stream: true });
  const command = (key: string): string => `export LLMGW_API_KEY=${key}

curl -N ${location.origin}/v1/chat/completions \\
  -H 'Content-Type: application/json' \\
  -H "Authorization: Bearer $LLMGW_API_KEY" \\
  --data-raw ${quoted(body)}`;
  return (
    <Section title={t.howTo}>
      <p class="muted">{t.howToMore}</p>
      <Code label={t.shell} text={command(secret)} shown={command(`${secret.slice(0, SHOWN_OF_KEY)}…`)} />
    </Section>
  );
}
