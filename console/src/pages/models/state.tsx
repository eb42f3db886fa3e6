import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { duration } from "../../lib/format.ts";
import type { State, TargetNow } from "./health.ts";
import { MODELS } from "./texts.ts";

const TONES: Record<State, string> = { up: "good", probing: "warn", cooling: "bad" };

interface StateProps {
  /** What the workers say now. */
  now: TargetNow | null;
  /** What the list said when it was loaded, where they say nothing. */
  otherwise?: State | null;
  /** In front: whose state it is. */
  name?: string;
}

/** Whether a target is asked, in a dot and in words. */
export function StateLine({ now, otherwise = null, name }: StateProps): JSX.Element {
  const t = textsOf(MODELS);
  const state = now?.state ?? otherwise;
  const coolingS = now?.cooling_s ?? 0;
  const words =
    state === null
      ? t.unknownState
      : state === "cooling" && coolingS > 0
        ? t.coolingFor(duration(coolingS))
        : t.states[state];
  return (
    <span class="state-line">
      <span class={`status-dot ${state === null ? "" : TONES[state]}`} />
      {name === undefined ? words : name}
      {name === undefined ? null : state === "up" ? (
        <span class="unseen">{words}</span>
      ) : (
        <span class="muted small">{words}</span>
      )}
    </span>
  );
}
