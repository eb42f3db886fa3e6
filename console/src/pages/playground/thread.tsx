import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { Button } from "../../ui/basics.tsx";
import { IconButton } from "../../ui/icon-button.tsx";
import { AnswerCard } from "./answer-card.tsx";
import type { Round, Written } from "./conversation.ts";
import { Editor } from "./editor.tsx";
import { begin, EXAMPLES } from "./examples.ts";
import { PictureList } from "./picture-list.tsx";
import { PlainText } from "./plain-text.tsx";
import { ask } from "./run.ts";
import { type Asked, change, cutAt, entries, lanes, remove, running } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

/** The conversation. */
export function Thread({ secret }: { secret: string }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  if (entries.value.length === 0) return <Beginning />;
  return (
    <ol class="thread" aria-label={t.conversation}>
      {entries.value.map((entry) => (
        <li key={entry.id}>
          {entry.kind === "written" ? (
            <Message written={entry} secret={secret} />
          ) : (
            <Answers round={entry} secret={secret} />
          )}
        </li>
      ))}
    </ol>
  );
}

function Beginning(): JSX.Element {
  const t = textsOf(PLAYGROUND).empty;
  return (
    <div class="empty">
      <strong>{t.title}</strong>
      <span>{t.hint}</span>
      <div class="row examples">
        {EXAMPLES.map((example) => (
          <Button key={example} onClick={() => begin(example)}>
            {t.examples[example]}
          </Button>
        ))}
      </div>
    </div>
  );
}

function Message({ written, secret }: { written: Written; secret: string }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const [isEdited, setEdited] = useState(false);
  const { id, role, text, pictures } = written;
  const isIdle = running.value === 0;
  return (
    <article class={`message ${role}`} aria-label={t.roles[role]}>
      <header class="row">
        <strong class="small">{t.roles[role]}</strong>
        <span class="grow" />
        {role === "system" ? null : (
          <IconButton
            icon="refresh"
            label={t.message.resend}
            disabled={!isIdle}
            onClick={() => {
              cutAt(id, true);
              ask(secret);
            }}
          />
        )}
        <IconButton
          icon="edit"
          label={t.message.edit}
          aria-pressed={isEdited}
          onClick={() => setEdited(!isEdited)}
        />
        <IconButton icon="trash" label={t.message.remove} disabled={!isIdle} onClick={() => remove(id)} />
      </header>
      <PictureList
        pictures={pictures}
        onRemove={isEdited ? (index) => change(id, { pictures: pictures.toSpliced(index, 1) }) : undefined}
      />
      {isEdited ? (
        <Editor
          label={t.compose.message}
          text={text}
          onSave={(changed) => {
            change(id, { text: changed });
            setEdited(false);
          }}
          onClose={() => setEdited(false)}
        />
      ) : (
        <PlainText text={text} />
      )}
    </article>
  );
}

function Answers({ round, secret }: { round: Round<Asked>; secret: string }): JSX.Element {
  return (
    <div class={`answers of-${lanes.value.length}`}>
      {lanes.value.map((_, index) => {
        const asked = round.answers[index] ?? null;
        return asked === null ? (
          <div key={index} class="answer none" />
        ) : (
          <AnswerCard key={asked.id} asked={asked} index={index} round={round} secret={secret} />
        );
      })}
    </div>
  );
}
