/** What the catalog and a price say, checked: the admin API's document leaves both open. */

export interface CatalogEntry {
  kind: string;
  family: string;
  owner: string;
  input: readonly string[];
  output: readonly string[];
  /** In tokens; null: not known. */
  contextWindow: number | null;
  maxOutput: number | null;
  /** By name; null: not known. */
  capabilities: readonly (readonly [string, boolean | null])[];
  dialect: string;
  /** Whether the switch does anything, and if not, why. */
  thinking: "switch" | "always" | "never" | "native";
}

/** Amounts are exact decimal texts, in `currency`, of a million tokens. */
export interface PriceTier {
  aboveInputTokens: number;
  input: string;
  cachedInput: string;
  cacheWrite: string;
  output: string;
  /** Of an answer with reasoning. */
  outputThinking: string;
}

export interface PriceSlot {
  hours: readonly string[];
  days: readonly string[];
  timezone: string;
  factor: string;
}

export interface Price {
  /** In which the provider bills. */
  currency: string;
  /** In which everything is counted, and what a unit of `currency` is there. */
  countedIn: string;
  exchange: string;
  tiers: readonly PriceTier[];
  perRequest: string;
  perImage: string;
  slots: readonly PriceSlot[];
}

type Json = Record<string, unknown>;

function objectOf(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
}

function listOf(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function textsOf(value: unknown): string[] {
  return listOf(value).filter((each): each is string => typeof each === "string");
}

function textOf(value: unknown, otherwise: string): string {
  return typeof value === "string" ? value : otherwise;
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}

function thinkingOf(thinking: Json): CatalogEntry["thinking"] {
  const modes = textsOf(thinking["modes"]);
  if (thinking["switch_effective"] === true) return "switch";
  if (modes.length === 1) return modes[0] === "on" ? "always" : "never";
  return "native";
}

export function catalogOf(entry: Json): CatalogEntry {
  const modalities = objectOf(entry["modalities"]);
  const thinking = objectOf(entry["thinking"]);
  return {
    kind: textOf(entry["kind"], "chat"),
    family: textOf(entry["family"], "other"),
    owner: textOf(entry["owned_by"], "unknown"),
    input: textsOf(modalities["input"]),
    output: textsOf(modalities["output"]),
    contextWindow: numberOf(entry["context_window"]),
    maxOutput: numberOf(entry["max_output_tokens"]),
    capabilities: Object.entries(objectOf(entry["capabilities"])).map(([name, value]) => [
      name,
      typeof value === "boolean" ? value : null,
    ]),
    dialect: textOf(thinking["dialect"], "native"),
    thinking: thinkingOf(thinking),
  };
}

function tierOf(value: unknown): PriceTier {
  const tier = objectOf(value);
  return {
    aboveInputTokens: numberOf(tier["above_input_tokens"]) ?? 0,
    input: textOf(tier["input"], "0"),
    cachedInput: textOf(tier["cached_input"], "0"),
    cacheWrite: textOf(tier["cache_write"], "0"),
    output: textOf(tier["output"], "0"),
    outputThinking: textOf(tier["output_thinking"], "0"),
  };
}

function slotOf(value: unknown): PriceSlot {
  const slot = objectOf(value);
  return {
    hours: textsOf(slot["hours"]),
    days: textsOf(slot["days"]),
    timezone: textOf(slot["timezone"], "UTC"),
    factor: textOf(slot["factor"], "1"),
  };
}

/** Null: there is none. */
export function priceOf(document: Json | null): Price | null {
  if (document === null) return null;
  const countedIn = textOf(document["currency"], "");
  return {
    currency: textOf(document["price_currency"], countedIn),
    countedIn,
    exchange: textOf(document["exchange"], "1"),
    tiers: listOf(document["per_million_tokens"]).map(tierOf),
    perRequest: textOf(document["per_request"], "0"),
    perImage: textOf(document["per_image"], "0"),
    slots: listOf(document["times"]).map(slotOf),
  };
}

export function isFree(amount: string): boolean {
  return /^[0.]*$/.test(amount);
}

/** Whether two targets cost the same. */
export function isSamePrice(first: Price | null, second: Price | null): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}
