import type { Schemas } from "../../api/client.ts";
import type { Live } from "../../api/live.ts";
import { grouped } from "../../lib/format.ts";
import type { SYSTEM } from "./texts.ts";

type System = Schemas["SystemSchema"];
type Words = typeof SYSTEM.en;

export interface Trouble {
  tone: "warn" | "bad";
  what: string;
  /** What to do about it; null: `what` says it. */
  remedy: string | null;
}

/** Rows in memory that are too many for the half second in which they are written (`docs/operations.md`). */
const MANY_QUEUED_ROWS = 2_000;

/** Everything that is wrong with the gateway itself, the worst first. */
export function troublesOf(system: System, live: Live | null, words: Words): Trouble[] {
  const all = [...troublesOfWorkers(system, words), ...(live === null ? [] : troublesNow(live, words))];
  const t = words.trouble;
  if (!system.database.reachable) {
    all.push({ tone: "bad", what: t.databaseDown, remedy: t.databaseDownWhat });
  }
  return all.sort((first, second) => Number(first.tone === "warn") - Number(second.tone === "warn"));
}

function troublesOfWorkers({ workers, generation }: System, words: Words): Trouble[] {
  const t = words.trouble;
  return workers.flatMap((each): Trouble[] => {
    const pid = String(each.worker);
    if (each.problem !== null) {
      return [{ tone: "bad", what: `${t.worker(pid)}: ${each.problem}`, remedy: t.workerWhat }];
    }
    const isBehind = each.generation !== null && generation !== null && each.generation < generation;
    return isBehind ? [{ tone: "warn", what: t.behind(pid), remedy: t.behindWhat }] : [];
  });
}

function troublesNow(live: Live, words: Words): Trouble[] {
  const t = words.trouble;
  const { ledger, store, redis } = live;
  const isDown = (purpose: string): boolean =>
    store.some((each) => each.purpose === purpose && !each.healthy);
  const found: readonly (readonly [boolean, Trouble["tone"], string, string | null])[] = [
    ...live.problems.map((text) => [true, "bad", `${t.unavailable}: ${text}`, null] as const),
    [isDown("keys"), "bad", t.keysDown, t.keysDownWhat],
    [isDown("ledger"), "bad", t.ledgerDown, t.ledgerDownWhat],
    [ledger.dropped_rows > 0, "bad", t.dropped(grouped(ledger.dropped_rows)), t.droppedWhat],
    [ledger.set_aside_files > 0, "bad", t.setAside(grouped(ledger.set_aside_files)), t.setAsideWhat],
    [ledger.journal_rows > 0, "warn", t.journal(grouped(ledger.journal_rows)), t.journalWhat],
    [ledger.queue_rows > MANY_QUEUED_ROWS, "warn", t.queue(grouped(ledger.queue_rows)), t.queueWhat],
    [redis.limits_up === false, "warn", t.redis, t.redisWhat],
    ...live.warnings.map((text) => [true, "warn", `${t.warning}: ${text}`, null] as const),
  ];
  return found.filter(([isSo]) => isSo).map(([, tone, what, remedy]) => ({ tone, what, remedy }));
}
