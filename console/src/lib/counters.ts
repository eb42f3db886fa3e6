import { type Amounts, added, subtracted } from "./decimal.ts";

/** A histogram; each step's own count, the last one without an upper bound. */
export interface Steps {
  bounds_s: readonly number[];
  counts: readonly number[];
}

/** What a model's requests came to, as far as it is added up over time. */
export interface Counters {
  requests: number;
  errors: number;
  prompt_tokens: number;
  completion_tokens: number;
  reasoning_tokens: number;
  cached_tokens: number;
  costs: Amounts;
  first_event: Steps;
  total: Steps;
}

const NUMBERS = [
  "requests",
  "errors",
  "prompt_tokens",
  "completion_tokens",
  "reasoning_tokens",
  "cached_tokens",
] as const;

function zipped(first: Steps, second: Steps, sign: 1 | -1): Steps {
  const longer = first.counts.length >= second.counts.length ? first : second;
  return {
    bounds_s: longer.bounds_s,
    counts: longer.counts.map((_, step) => (first.counts[step] ?? 0) + sign * (second.counts[step] ?? 0)),
  };
}

export const NO_STEPS: Steps = { bounds_s: [], counts: [] };

export const NOTHING_COUNTED: Counters = {
  requests: 0,
  errors: 0,
  prompt_tokens: 0,
  completion_tokens: 0,
  reasoning_tokens: 0,
  cached_tokens: 0,
  costs: {},
  first_event: NO_STEPS,
  total: NO_STEPS,
};

/** Of several models together. */
export function sum(all: readonly Counters[]): Counters {
  let together = NOTHING_COUNTED;
  for (const each of all) together = combined(together, each, 1);
  return together;
}

function combined(first: Counters, second: Counters, sign: 1 | -1): Counters {
  const numbers = Object.fromEntries(NUMBERS.map((name) => [name, first[name] + sign * second[name]]));
  return {
    ...first,
    ...numbers,
    costs: (sign === 1 ? added : subtracted)(first.costs, second.costs),
    first_event: zipped(first.first_event, second.first_event, sign),
    total: zipped(first.total, second.total, sign),
  };
}

/** What came in between. Counters only grow: a smaller one began anew, and is the difference itself. */
export function difference(before: Counters, after: Counters): Counters {
  if (NUMBERS.some((name) => after[name] < before[name])) return after;
  return combined(after, before, -1);
}

/** The upper bound of the step in which this share of all is reached; null: there is none, or it has no bound. */
export function quantile(steps: Steps, share: number): number | null {
  const all = steps.counts.reduce((before, count) => before + count, 0);
  if (all === 0) return null;
  let below = 0;
  for (const [step, count] of steps.counts.entries()) {
    below += count;
    if (below >= all * share) return steps.bounds_s[step] ?? null;
  }
  return null;
}
