import { now as gatewayTime } from "../../lib/clock.ts";
/** The answer of `GET /v1/usage/me`, and sums over it. No DOM here. */
import { type Amounts, added } from "../../lib/decimal.ts";
import { type Json, numberIn, objectIn, objectsIn, textIn, textsIn } from "../../lib/json.ts";
import { LIMIT_NAMES, type LimitName, PERIODS, type Period } from "../access/rules-draft.ts";

/** Whose a limit is. */
export const SCOPES = ["key", "project", "model", "key_model", "project_model"] as const;
export type Scope = (typeof SCOPES)[number];

export interface OwnLimit {
  kind: LimitName;
  /** Null: one that this page does not know; `of` says it. */
  scope: Scope | null;
  /** Whose it is, in the gateway's words. */
  of: string;
  limit: number;
  /** Null: it can't be known, as where several machines share it. */
  remaining: number | null;
  /** In so many seconds all of it is left again, if nothing more is used. */
  resetS: number | null;
}

/** Sums are exact texts, in tokens or a currency. */
export interface OwnBudget {
  id: number;
  scope: "key" | "project";
  model: string | null;
  unit: string;
  period: Period;
  amount: string;
  spent: string;
  lifted: string;
  left: string;
  /** What running requests may still use. */
  reserved: string;
  warnAt: number | null;
  resetsAt: string | null;
}

export interface Totals {
  requests: number;
  errors: number;
  unpriced: number;
  promptTokens: number;
  completionTokens: number;
  reasoningTokens: number;
  cachedTokens: number;
  costs: Amounts;
}

/** What a model's requests of a day came to. */
export interface DaySum extends Totals {
  /** `2026-11-26`, in the gateway's time zone. */
  day: string;
  /** Null: requests that named none that the key may use. */
  model: string | null;
}

export interface OwnUsage {
  name: string;
  project: string;
  /** Null: all, also those to come. */
  models: string[] | null;
  expiresAt: string | null;
  timezone: string;
  limits: OwnLimit[];
  budgets: OwnBudget[];
  days: DaySum[];
}

export function ownUsageIn(answer: unknown): OwnUsage {
  const whole = objectIn(answer);
  const key = objectIn(whole["key"]);
  return {
    name: textIn(key["name"]) ?? "",
    project: textIn(key["project"]) ?? "",
    models: key["models"] === null ? null : textsIn(key["models"]),
    expiresAt: textIn(key["expires_at"]),
    timezone: textIn(whole["timezone"]) ?? "UTC",
    limits: objectsIn(whole["limits"]).flatMap(limitIn),
    budgets: objectsIn(whole["budgets"]).flatMap(budgetIn),
    days: objectsIn(whole["usage"]).map(daySumIn),
  };
}

/** A limit of a kind that this page does not know is left out. */
function limitIn(value: Json): OwnLimit[] {
  const kind = LIMIT_NAMES.find((each) => each === value["kind"]);
  const limit = numberIn(value["limit"]);
  if (kind === undefined || limit === null) return [];
  return [
    {
      kind,
      scope: SCOPES.find((each) => each === value["scope"]) ?? null,
      of: textIn(value["of"]) ?? "",
      limit,
      remaining: numberIn(value["remaining"]),
      resetS: numberIn(value["reset_s"]),
    },
  ];
}

function budgetIn(value: Json): OwnBudget[] {
  const period = PERIODS.find((each) => each === value["period"]);
  const id = numberIn(value["id"]);
  if (period === undefined || id === null) return [];
  return [
    {
      id,
      scope: value["scope"] === "project" ? "project" : "key",
      model: textIn(value["model"]),
      unit: textIn(value["unit"]) ?? "",
      period,
      amount: textIn(value["amount"]) ?? "0",
      spent: textIn(value["spent"]) ?? "0",
      lifted: textIn(value["lifted"]) ?? "0",
      left: textIn(value["left"]) ?? "0",
      reserved: textIn(value["reserved"]) ?? "0",
      warnAt: numberIn(value["warn_at"]),
      resetsAt: textIn(value["resets_at"]),
    },
  ];
}

function daySumIn(value: Json): DaySum {
  const costs = Object.entries(objectIn(value["costs"])).map(([unit, cost]) => [unit, textIn(cost) ?? "0"]);
  return {
    day: textIn(value["day"]) ?? "",
    model: textIn(value["model"]),
    requests: numberIn(value["requests"]) ?? 0,
    errors: numberIn(value["errors"]) ?? 0,
    unpriced: numberIn(value["unpriced"]) ?? 0,
    promptTokens: numberIn(value["prompt_tokens"]) ?? 0,
    completionTokens: numberIn(value["completion_tokens"]) ?? 0,
    reasoningTokens: numberIn(value["reasoning_tokens"]) ?? 0,
    cachedTokens: numberIn(value["cached_tokens"]) ?? 0,
    costs: Object.fromEntries(costs),
  };
}

const NOTHING: Totals = {
  requests: 0,
  errors: 0,
  unpriced: 0,
  promptTokens: 0,
  completionTokens: 0,
  reasoningTokens: 0,
  cachedTokens: 0,
  costs: {},
};

export function totalOf(rows: readonly Totals[]): Totals {
  return rows.reduce(
    (sum, row) => ({
      requests: sum.requests + row.requests,
      errors: sum.errors + row.errors,
      unpriced: sum.unpriced + row.unpriced,
      promptTokens: sum.promptTokens + row.promptTokens,
      completionTokens: sum.completionTokens + row.completionTokens,
      reasoningTokens: sum.reasoningTokens + row.reasoningTokens,
      cachedTokens: sum.cachedTokens + row.cachedTokens,
      costs: added(sum.costs, row.costs),
    }),
    NOTHING,
  );
}

export interface ModelSum extends Totals {
  model: string | null;
}

/** Those with the most requests first. */
export function byModel(days: readonly DaySum[]): ModelSum[] {
  const models = [...new Set(days.map(({ model }) => model))];
  return models
    .map((model) => ({ model, ...totalOf(days.filter((each) => each.model === model)) }))
    .sort((first, second) => second.requests - first.requests);
}

/**
 * A day of the gateway's calendar → the midnight with which it begins in the viewer's zone, so that a plot names
 * it as the gateway does, whatever the zone.
 */
export function startOf(day: string): Date {
  const [year = 1970, month = 1, date = 1] = day.split("-").map(Number);
  return new Date(year, month - 1, date);
}

/** Today in a time zone: `2026-11-26`. */
export function today(timezone: string, now = new Date(gatewayTime())): string {
  return new Intl.DateTimeFormat("en-CA", {
    timeZone: timezone,
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
  }).format(now);
}
