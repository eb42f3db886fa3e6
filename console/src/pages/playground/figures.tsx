import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { shortened } from "../../lib/format.ts";
import { CopyButton } from "../../ui/copy.tsx";
import { Count, Duration } from "../../ui/values.tsx";
import { paceOf, type Usage } from "./answer.ts";
import { CodeDialog } from "./code-dialog.tsx";
import { Cost } from "./cost.tsx";
import { Figure } from "./figure.tsx";
import { Fold } from "./fold.tsx";
import type { Asked } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

/** How fast an answer came, what it used, and what it cost. */
export function Figures({ asked }: { asked: Asked }): JSX.Element | null {
  const t = textsOf(PLAYGROUND).answer;
  const [hasDetails, setDetails] = useState(false);
  const { phase, moments, usage, finishReason, requestId, headers, fault } = asked.state.value;
  if (phase === "waiting") return null;
  const pace = paceOf(moments, usage, asked.isStream);
  const thinking = headers.find(([name]) => name === "x-llmgw-thinking")?.[1];
  const isAnswerLater = pace.answerS !== null && pace.answerS !== pace.firstS;
  return (
    <footer class="figures">
      <dl>
        {pace.tokensPerS === null ? null : (
          <Figure name={t.tokensPerS} hint={asked.isStream ? t.tokensPerSHint : t.wholeTokensPerSHint}>
            {shortened(pace.tokensPerS)}
          </Figure>
        )}
        {pace.firstS === null ? null : (
          <Figure name={t.first}>
            <Duration seconds={pace.firstS} />
          </Figure>
        )}
        {isAnswerLater ? (
          <Figure name={t.firstAnswer}>
            <Duration seconds={pace.answerS} />
          </Figure>
        ) : null}
        {pace.totalS === null ? null : (
          <Figure name={t.total}>
            <Duration seconds={pace.totalS} />
          </Figure>
        )}
        {usage === null ? null : <Tokens usage={usage} />}
        {phase === "streaming" ? null : <Cost asked={asked} />}
        {thinking === undefined ? null : (
          <Figure name={t.thinking} hint={t.thinkingHint}>
            <span class="mono">{thinking}</span>
          </Figure>
        )}
        {finishReason === null ? null : (
          <Figure name={t.finish}>
            <span class="mono">{finishReason}</span>
          </Figure>
        )}
      </dl>
      {requestId === null || fault !== null || phase === "cut" ? null : (
        <div class="row request">
          <span class="muted">{t.id}</span>
          <span class="mono">{requestId}</span>
          <CopyButton text={requestId} />
        </div>
      )}
      <div class="row">
        <Fold label={t.details} isOpen={hasDetails} onToggle={() => setDetails(!hasDetails)} />
        <ShowCode asked={asked} />
      </div>
      {hasDetails ? <Details headers={headers} usage={usage} servedAs={asked.state.value.servedAs} /> : null}
    </footer>
  );
}

function Tokens({ usage }: { usage: Usage }): JSX.Element {
  const t = textsOf(PLAYGROUND).answer;
  const reasoned = usage["completion_tokens_details.reasoning_tokens"] ?? 0;
  const cached = usage["prompt_tokens_details.cached_tokens"] ?? 0;
  return (
    <>
      <Figure name={t.prompt}>
        <Count value={usage["prompt_tokens"]} />
        {cached > 0 ? <Part name={t.cached} value={cached} /> : null}
      </Figure>
      <Figure name={t.completion}>
        <Count value={usage["completion_tokens"]} />
        {reasoned > 0 ? <Part name={t.reasoned} value={reasoned} /> : null}
      </Figure>
    </>
  );
}

function Part({ name, value }: { name: string; value: number }): JSX.Element {
  return (
    <span class="muted">
      {" "}
      (<Count value={value} /> {name})
    </span>
  );
}

function ShowCode({ asked }: { asked: Asked }): JSX.Element {
  const t = textsOf(PLAYGROUND).answer;
  const [isOpen, setOpen] = useState(false);
  return (
    <>
      <button type="button" class="fold code-link" onClick={() => setOpen(true)}>
        {t.showCode}
      </button>
      {isOpen ? <CodeDialog bodies={[asked.body]} onClose={() => setOpen(false)} /> : null}
    </>
  );
}

interface DetailsProps {
  headers: readonly (readonly [string, string])[];
  usage: Usage | null;
  servedAs: string | null;
}

const OWN = /^x-/;

function Details({ headers, usage, servedAs }: DetailsProps): JSX.Element {
  const t = textsOf(PLAYGROUND).answer;
  // The gateway's own ones first.
  const sorted = headers.toSorted(
    ([a], [b]) => Number(OWN.test(b)) - Number(OWN.test(a)) || a.localeCompare(b),
  );
  return (
    <div class="stack details small">
      {servedAs === null ? null : <Facts title={t.servedAs} facts={[["model", servedAs]]} />}
      {usage === null ? null : (
        <Facts title={t.usage} facts={Object.entries(usage).map(([name, value]) => [name, String(value)])} />
      )}
      {sorted.length === 0 ? null : <Facts title={t.headers} facts={sorted} />}
    </div>
  );
}

function Facts({
  title,
  facts,
}: {
  title: string;
  facts: readonly (readonly [string, string])[];
}): JSX.Element {
  return (
    <div>
      <h3 class="small">{title}</h3>
      <dl class="facts mono">
        {facts.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </>
        ))}
      </dl>
    </div>
  );
}
