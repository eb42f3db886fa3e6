/** What the catalog and a price say, checked: the admin API's document leaves both open. */
import { type Json, numberIn, objectIn, objectsIn, textIn, textsIn } from "../../lib/json.ts";

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

function textOf(value: unknown, otherwise: string): string {
  return textIn(value) ?? otherwise;
}

function thinkingOf(thinking: Json): CatalogEntry["thinking"] {
  const modes = textsIn(thinking["modes"]);
  if (thinking["switch_effective"] === true) return "switch";
  if (modes.length === 1) return modes[0] === "on" ? "always" : "never";
  return "native";
}

export function catalogOf(entry: Json): CatalogEntry {
  const modalities = objectIn(entry["modalities"]);
  const thinking = objectIn(entry["thinking"]);
  return {
    kind: textOf(entry["kind"], "chat"),
    family: textOf(entry["family"], "other"),
    owner: textOf(entry["owned_by"], "unknown"),
    input: textsIn(modalities["input"]),
    output: textsIn(modalities["output"]),
    contextWindow: numberIn(entry["context_window"]),
    maxOutput: numberIn(entry["max_output_tokens"]),
    capabilities: Object.entries(objectIn(entry["capabilities"])).map(([name, value]) => [
      name,
      typeof value === "boolean" ? value : null,
    ]),
    dialect: textOf(thinking["dialect"], "native"),
    thinking: thinkingOf(thinking),
  };
}

function tierOf(tier: Json): PriceTier {
  return {
    aboveInputTokens: numberIn(tier["above_input_tokens"]) ?? 0,
    input: textOf(tier["input"], "0"),
    cachedInput: textOf(tier["cached_input"], "0"),
    cacheWrite: textOf(tier["cache_write"], "0"),
    output: textOf(tier["output"], "0"),
    outputThinking: textOf(tier["output_thinking"], "0"),
  };
}

function slotOf(slot: Json): PriceSlot {
  return {
    hours: textsIn(slot["hours"]),
    days: textsIn(slot["days"]),
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
    tiers: objectsIn(document["per_million_tokens"]).map(tierOf),
    perRequest: textOf(document["per_request"], "0"),
    perImage: textOf(document["per_image"], "0"),
    slots: objectsIn(document["times"]).map(slotOf),
  };
}

/** Whether two targets cost the same. */
export function isSamePrice(first: Price | null, second: Price | null): boolean {
  return JSON.stringify(first) === JSON.stringify(second);
}
