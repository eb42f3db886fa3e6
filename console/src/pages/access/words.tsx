import type { ComponentChild } from "preact";
import type { Schemas } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { groupedText, money, shortened } from "../../lib/format.ts";
import { Tag, type Tone } from "../../ui/basics.tsx";
import { LIMIT_NAMES, type Period, TOKENS } from "./rules-draft.ts";
import { ACCESS } from "./texts.ts";

export type State = Schemas["KeySchema"]["state"];

const TONES: Record<State, Tone> = {
  active: "good",
  blocked: "warn",
  project_blocked: "warn",
  expired: "neutral",
  revoked: "neutral",
};

export function StateTag({ state }: { state: State }): ComponentChild {
  return <Tag tone={TONES[state]}>{textsOf(ACCESS).states[state]}</Tag>;
}

/** An exact amount of money or of tokens, as text. */
export function amountText(amount: string, unit: string): string {
  if (unit !== TOKENS) return money(amount, unit);
  return textsOf(ACCESS).tokens(groupedText(amount));
}

/** The same beside an amount that has the unit: tokens are not named again. */
export function sumText(amount: string, unit: string): string {
  return unit === TOKENS ? groupedText(amount) : money(amount, unit);
}

interface BudgetLike {
  amount: string;
  unit: string;
  period: Period;
  model: string | null;
  per_user: boolean;
}

/** `¥10.00 per day, at qwen3-max, each user`. */
export function budgetWords(budget: BudgetLike): string {
  const t = textsOf(ACCESS);
  return [
    t.inPeriod(amountText(budget.amount, budget.unit), t.perPeriod[budget.period]),
    ...whoWords(budget),
  ].join(t.comma);
}

/** Of which requests something is counted, where not of all. */
export function whoWords(rule: { model: string | null; per_user: boolean }): string[] {
  const t = textsOf(ACCESS);
  return [...(rule.model === null ? [] : [t.at(rule.model)]), ...(rule.per_user ? [t.eachUser] : [])];
}

/** `60 req/min · 4 at once`, for a cell; empty: no limits. */
export function limitsWords(limits: Schemas["LimitsShown"]): string {
  const t = textsOf(ACCESS);
  return LIMIT_NAMES.flatMap((name) => {
    const value = limits[name];
    return value === null ? [] : [t.limitsShort[name](shortened(value))];
  }).join(" · ");
}
