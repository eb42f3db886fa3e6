import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { ApiFault } from "../../api/fault.ts";
import { end, isAdmin, keepModelKey } from "../../api/session.ts";
import { COMMON } from "../../i18n/common.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Button, FaultNote, Tag } from "../../ui/basics.tsx";
import { CopyButton } from "../../ui/copy.tsx";
import { IconButton } from "../../ui/icon-button.tsx";
import { Calls } from "./calls.tsx";
import type { Round } from "./conversation.ts";
import { Editor } from "./editor.tsx";
import { Figures } from "./figures.tsx";
import { Fold } from "./fold.tsx";
import { PlainText } from "./plain-text.tsx";
import { Prose } from "./prose.tsx";
import { ask } from "./run.ts";
import {
  type AnswerState,
  type Asked,
  announcement,
  cutAt,
  remove,
  running,
  setAnswerText,
} from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

interface AnswerCardProps {
  asked: Asked;
  /** Of the model, from the left. */
  index: number;
  round: Round<Asked>;
  secret: string;
}

/** What one model answered to one question. */
export function AnswerCard({ asked, index, round, secret }: AnswerCardProps): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const [isEdited, setEdited] = useState(false);
  const state = asked.state.value;
  const { model } = asked.lane;
  const isOpen = state.phase === "waiting" || state.phase === "streaming";
  useAnnouncement(model, state);
  return (
    <article class="answer panel" aria-label={t.answer.of(model)} aria-busy={isOpen}>
      <Head asked={asked} round={round} secret={secret} onEdit={() => setEdited(!isEdited)} />
      {state.reasoning === "" ? null : <Reasoning text={state.reasoning} isAnswering={hasBegun(state)} />}
      {isEdited ? (
        <Editor
          label={t.answer.of(model)}
          text={state.text}
          onSave={(text) => {
            setAnswerText(asked, text);
            setEdited(false);
          }}
          onClose={() => setEdited(false)}
        />
      ) : state.text === "" ? null : (
        <Prose text={state.text} />
      )}
      {state.calls.length === 0 ? null : (
        <Calls asked={asked} onSend={() => ask(secret, [index])} isLast={!isOpen} />
      )}
      <Ending state={state} />
      <Figures asked={asked} />
    </article>
  );
}

function hasBegun({ text, calls, phase }: AnswerState): boolean {
  return text !== "" || calls.length > 0 || (phase !== "streaming" && phase !== "waiting");
}

interface HeadProps {
  asked: Asked;
  round: Round<Asked>;
  secret: string;
  onEdit: () => void;
}

function Head({ asked, round, secret, onEdit }: HeadProps): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const { phase, text } = asked.state.value;
  const isOpen = phase === "waiting" || phase === "streaming";
  const isIdle = running.value === 0;
  const { thinking, effort, model } = asked.lane;
  return (
    <header class="row">
      <strong class="small mono">{model}</strong>
      {thinking === "model" ? null : (
        <Tag>
          {t.thinking.label}: {t.thinking.choices[thinking]}
        </Tag>
      )}
      {effort === "" ? null : (
        <Tag>
          {t.thinking.effort}: {effort}
        </Tag>
      )}
      {phase === "stopped" || phase === "cut" || phase === "failed" ? (
        <Tag tone={phase === "stopped" ? "neutral" : "bad"}>{t.answer.phases[phase]}</Tag>
      ) : null}
      <span class="grow" />
      {isOpen ? (
        <Button icon="stop" onClick={() => asked.abort.abort()}>
          {t.answer.stop}
        </Button>
      ) : (
        <>
          {text === "" ? null : <CopyButton text={text} />}
          <IconButton
            icon="refresh"
            label={t.answer.again}
            disabled={!isIdle}
            onClick={() => {
              const places = round.answers.flatMap((each, place) => (each === null ? [] : [place]));
              cutAt(round.id, false);
              ask(secret, places);
            }}
          />
          <IconButton icon="edit" label={t.message.edit} onClick={onEdit} />
          <IconButton
            icon="trash"
            label={t.message.remove}
            disabled={!isIdle}
            onClick={() => remove(round.id)}
          />
        </>
      )}
    </header>
  );
}

/** Open while it streams, folded when the answer begins; then as the person wants it. */
function Reasoning({ text, isAnswering }: { text: string; isAnswering: boolean }): JSX.Element {
  const t = textsOf(PLAYGROUND).answer;
  const [wanted, setWanted] = useState<boolean | null>(null);
  const isOpen = wanted ?? !isAnswering;
  const box = useRef<HTMLDivElement>(null);
  // It follows what comes.
  useEffect(() => {
    if (!isAnswering && box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [isAnswering, text]);
  return (
    <div class="reasoning">
      <Fold
        label={isAnswering ? t.reasoning : t.reasons}
        isOpen={isOpen}
        onToggle={() => setWanted(!isOpen)}
      />
      {isOpen ? (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
        <section ref={box} tabIndex={0} aria-label={t.reasoning}>
          <PlainText text={text} />
        </section>
      ) : null}
    </div>
  );
}

/** Why there is no more. */
function Ending({ state }: { state: AnswerState }): JSX.Element | null {
  const t = textsOf(PLAYGROUND).answer;
  const common = textsOf(COMMON);
  const { phase, fault, requestId } = state;
  if (phase === "waiting") return <p class="muted">{t.waiting}</p>;
  if (fault !== null) return <Fault fault={fault} />;
  if (phase === "stopped") return <p class="muted small">{t.stopped}</p>;
  if (phase === "cut") {
    return (
      <div class="fault" role="alert">
        <span>{t.cut}</span>
        {requestId === null ? null : <span class="id mono muted">{common.requestId(requestId)}</span>}
      </div>
    );
  }
  const isEmpty = phase === "done" && state.text === "" && state.calls.length === 0;
  return isEmpty ? <p class="muted small">{t.nothing}</p> : null;
}

/** A key that is not accepted any more: the conversation stays until the person leaves it. */
function Fault({ fault }: { fault: Error }): JSX.Element {
  const t = textsOf(PLAYGROUND).key;
  const shell = textsOf(SHELL);
  if (!(fault instanceof ApiFault) || fault.status !== 401) return <FaultNote fault={fault} />;
  return (
    <div class="stack tight">
      <FaultNote fault={fault} />
      <div>
        <Button onClick={() => (isAdmin.value ? keepModelKey(null) : end(fault))}>
          {isAdmin.value ? t.another : shell.signOut}
        </Button>
      </div>
    </div>
  );
}

const SAID_CHARS = 600;

/** Says once that an answer begins, and once what it was: each token of it would be noise. */
function useAnnouncement(model: string, { phase, text, calls }: AnswerState): void {
  const t = textsOf(PLAYGROUND).answer;
  const last = useRef(phase);
  const said = useRef("");
  said.current = text === "" ? calls.map(({ name }) => name).join(", ") : text;
  useEffect(() => {
    if (last.current === phase) return;
    last.current = phase;
    if (phase === "streaming") announcement.value = t.began(model);
    else if (phase === "done") announcement.value = t.ended(model, said.current.slice(0, SAID_CHARS));
    else if (phase !== "waiting") announcement.value = t.broke(model);
  }, [phase, model, t]);
}
