import type { Schemas } from "../../api/client.ts";

/** Limits and budgets as a form has them, and what of them is sent. */

export const LIMIT_NAMES = ["requests_per_minute", "tokens_per_minute", "concurrent_requests"] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];
export type Period = Schemas["BudgetInput"]["period"];
export const PERIODS: readonly Period[] = ["day", "week", "month", "total"];
export const TOKENS = "tokens";

/** As they were typed; empty: no limit. */
export type LimitTexts = Record<LimitName, string>;

export interface LimitsByDraft {
  /** Empty: of all models together. */
  model: string;
  isPerUser: boolean;
  limits: LimitTexts;
}

export interface BudgetDraft {
  unit: string;
  amount: string;
  period: Period;
  /** Empty: of all models together. */
  model: string;
  isPerUser: boolean;
  /** Percent of the amount; empty: nobody is told. */
  warnPercent: string;
}

export interface RulesDraft {
  limits: LimitTexts;
  limitsBy: LimitsByDraft[];
  budgets: BudgetDraft[];
}

/** What a form finds wrong by itself, before anything is sent. `param`: as the API names the field. */
export interface DraftFault {
  param: string;
  reason: "missing" | "whole" | "amount" | "percent" | "twice" | "time" | "models";
}

/** What is to be sent, as far as it can be read. */
export interface Reading<Body> {
  body: Body;
  faults: DraftFault[];
  /** Of each entry of the body's `limits_by`: which row of the draft it is; null: one that is taken away. */
  limitsByRows: (number | null)[];
}

export interface RulesBody {
  limits?: Schemas["Limits"];
  limits_by?: Schemas["LimitsBy"][];
  budgets?: Schemas["BudgetInput"][];
}

/** What keys and projects have alike. */
interface Rules {
  limits: Schemas["LimitsShown"];
  limits_by: readonly Schemas["LimitsByShown"][];
  budgets: readonly Schemas["BudgetBrief"][];
}

const NO_LIMITS: LimitTexts = { requests_per_minute: "", tokens_per_minute: "", concurrent_requests: "" };

export function emptyRules(): RulesDraft {
  return { limits: { ...NO_LIMITS }, limitsBy: [], budgets: [] };
}

export function emptyLimitsBy(): LimitsByDraft {
  return { model: "", isPerUser: false, limits: { ...NO_LIMITS } };
}

export function emptyBudget(unit: string): BudgetDraft {
  return { unit, amount: "", period: "month", model: "", isPerUser: false, warnPercent: "80" };
}

export function rulesDraftOf(rules: Rules): RulesDraft {
  return {
    limits: textsOfLimits(rules.limits),
    limitsBy: rules.limits_by.map((each) => ({
      model: each.model ?? "",
      isPerUser: each.per_user,
      limits: textsOfLimits(each),
    })),
    budgets: rules.budgets.map((each) => ({
      unit: each.unit,
      amount: each.amount,
      period: each.period,
      model: each.model ?? "",
      isPerUser: each.per_user,
      warnPercent: each.warn_at === null ? "" : String(Math.round(each.warn_at * 1000) / 10),
    })),
  };
}

function textsOfLimits(limits: Schemas["LimitsShown"]): LimitTexts {
  const text = (value: number | null): string => (value === null ? "" : String(value));
  return {
    requests_per_minute: text(limits.requests_per_minute),
    tokens_per_minute: text(limits.tokens_per_minute),
    concurrent_requests: text(limits.concurrent_requests),
  };
}

/** What is to be sent so that `before` becomes `after`; a new key or project begins with `emptyRules`. */
export function readRules(before: RulesDraft, after: RulesDraft): Reading<RulesBody> {
  const faults: DraftFault[] = [];
  const body: RulesBody = {};
  const limits = changed(valuesOf(before.limits, "", []), valuesOf(after.limits, "limits", faults));
  if (limits !== null) body.limits = limits;
  const { entries, rows } = changedLimitsBy(before.limitsBy, after.limitsBy, faults);
  if (entries.length > 0) body.limits_by = entries;
  const budgets = after.budgets.map((each, index) => readBudget(each, `budgets[${index}]`, faults));
  const old = before.budgets.map((each) => readBudget(each, "", []));
  if (JSON.stringify(budgets) !== JSON.stringify(old)) body.budgets = budgets;
  return { body, faults, limitsByRows: rows };
}

type Values = Record<LimitName, number | null>;

function valuesOf(texts: LimitTexts, path: string, faults: DraftFault[]): Values {
  const values: Values = { requests_per_minute: null, tokens_per_minute: null, concurrent_requests: null };
  for (const name of LIMIT_NAMES) {
    const value = readWhole(texts[name]);
    if (value === undefined) faults.push({ param: `${path}.${name}`, reason: "whole" });
    else values[name] = value;
  }
  return values;
}

/** Those that differ, null where one is taken away; null in all: nothing differs. */
function changed(before: Values, after: Values): Partial<Values> | null {
  const changes: Partial<Values> = {};
  for (const name of LIMIT_NAMES) if (before[name] !== after[name]) changes[name] = after[name];
  return Object.keys(changes).length === 0 ? null : changes;
}

interface ChangedLimitsBy {
  entries: Schemas["LimitsBy"][];
  rows: (number | null)[];
}

function changedLimitsBy(
  before: readonly LimitsByDraft[],
  after: readonly LimitsByDraft[],
  faults: DraftFault[],
): ChangedLimitsBy {
  const left = new Map(before.map((each) => [identityOf(each), each]));
  const seen = new Set<string>();
  const found: ChangedLimitsBy = { entries: [], rows: [] };
  const add = (whose: LimitsByDraft, changes: Partial<Values> | null, row: number | null): void => {
    if (changes === null) return;
    found.entries.push({
      model: whose.model === "" ? null : whose.model,
      per_user: whose.isPerUser,
      ...changes,
    });
    found.rows.push(row);
  };
  after.forEach((each, row) => {
    const path = `limits_by[${row}]`;
    const identity = identityOf(each);
    if (seen.has(identity)) faults.push({ param: `${path}.model`, reason: "twice" });
    if (each.model === "" && !each.isPerUser) faults.push({ param: `${path}.model`, reason: "missing" });
    seen.add(identity);
    const old = left.get(identity)?.limits ?? NO_LIMITS;
    left.delete(identity);
    add(each, changed(valuesOf(old, "", []), valuesOf(each.limits, path, faults)), row);
  });
  for (const gone of left.values())
    add(gone, changed(valuesOf(gone.limits, "", []), valuesOf(NO_LIMITS, "", [])), null);
  return found;
}

function identityOf(each: LimitsByDraft): string {
  return JSON.stringify([each.model, each.isPerUser]);
}

function readBudget(draft: BudgetDraft, path: string, faults: DraftFault[]): Schemas["BudgetInput"] {
  const amount = bare(draft.amount);
  if (amount === "") faults.push({ param: `${path}.amount`, reason: "missing" });
  else if (!isAmount(amount)) faults.push({ param: `${path}.amount`, reason: "amount" });
  const percent = bare(draft.warnPercent).replace(/%$/, "");
  const isShare =
    percent === "" || (/^\d{1,3}(\.\d)?$/.test(percent) && Number(percent) > 0 && Number(percent) <= 100);
  if (!isShare) faults.push({ param: `${path}.warn_at`, reason: "percent" });
  return {
    unit: draft.unit,
    amount,
    period: draft.period,
    model: draft.model === "" ? null : draft.model,
    per_user: draft.isPerUser,
    warn_at: percent === "" || !isShare ? null : Math.round(Number(percent) * 10) / 1000,
  };
}

/** Null: nothing was typed; undefined: something else than a whole number. */
function readWhole(text: string): number | null | undefined {
  const digits = bare(text);
  if (digits === "") return null;
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}

/** Without what groups digits. */
export function bare(text: string): string {
  return text.replace(/[\s,，_]/g, "");
}

/** Whether the API takes it as an exact decimal number. */
export function isAmount(text: string): boolean {
  return /^\d{1,19}(\.\d{1,9})?$/.test(text);
}

/** The path that the API blames, as the form's fields are called: rows that did not change were not sent. */
export function paramOfForm(param: string, limitsByRows: readonly (number | null)[]): string {
  const [, index, rest = ""] = /^limits_by\[(\d+)\](.*)$/.exec(param) ?? [];
  const row = index === undefined ? null : limitsByRows[Number(index)];
  return row === null || row === undefined ? param : `limits_by[${row}]${rest}`;
}
