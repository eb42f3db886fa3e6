import { computed, effect, signal } from "@preact/signals";
import { type Counters, difference, NOTHING_COUNTED, sum } from "../lib/counters.ts";
import { isVisible } from "../lib/visible.ts";
import { admin, type Schemas, unwrap } from "./client.ts";
import { isConnected } from "./connection.ts";
import { isFault } from "./fault.ts";
import { isAdmin } from "./session.ts";

export type Live = Schemas["LiveSchema"];

/** What came between two looks at the gateway. */
export interface Beat {
  /** Unix time of the later look, in seconds. */
  atS: number;
  lastedS: number;
  counters: Counters;
}

const POLL_MS = 2_000;
const KEPT_BEATS = 150;
/** Faults in a row after which the last reading is dropped: by then it would lie. */
const MOST_FAULTS = 3;

/** The gateway as its workers see it now, without the database; null: not known yet. */
export const live = signal<Live | null>(null);
/** Of the last minutes, oldest first. */
export const beats = signal<readonly Beat[]>([]);

/** How the gateway is, in a word; null: not known yet. */
export const health = computed<"ok" | "degraded" | "unavailable" | "lost" | null>(() => {
  if (!isConnected.value) return "lost";
  return live.value?.status ?? null;
});

function countersOf(of: Live): Counters {
  return sum(of.models);
}

/**
 * What all models together came to between two looks. A gateway that was started in between counts anew; of one
 * that could not be asked (`instance` null) nothing is known.
 */
export function between(before: Live, after: Live): Counters {
  if (before.instance === null || after.instance === null) return NOTHING_COUNTED;
  const start = before.instance === after.instance ? countersOf(before) : NOTHING_COUNTED;
  return difference(start, countersOf(after));
}

function take(now: Live): void {
  const before = live.peek();
  live.value = now;
  if (before === null) return;
  const atS = Date.parse(now.at) / 1000;
  const lastedS = atS - Date.parse(before.at) / 1000;
  // The answer may be the one before: the gateway is asked at most once a second.
  if (lastedS <= 0) return;
  beats.value = [...beats.peek(), { atS, lastedS, counters: between(before, now) }].slice(-KEPT_BEATS);
}

let faults = 0;

async function look(): Promise<void> {
  try {
    take(await unwrap(admin.GET("/admin/v1/live")));
    faults = 0;
  } catch (error) {
    if (!isFault(error)) throw error;
    faults += 1;
    if (faults >= MOST_FAULTS) live.value = null;
  }
}

/** Look every two seconds, while an admin looks at the page. */
effect(() => {
  if (!isAdmin.value || !isVisible.value) return;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let isOver = false;
  const again = async (): Promise<void> => {
    await look().finally(() => {
      if (!isOver) timer = setTimeout(again, POLL_MS);
    });
  };
  again();
  return () => {
    isOver = true;
    clearTimeout(timer);
  };
});
effect(() => {
  if (isAdmin.value) return;
  live.value = null;
  beats.value = [];
});
