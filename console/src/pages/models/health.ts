import type { Schemas } from "../../api/client.ts";
import type { Live } from "../../api/live.ts";

export type TargetNow = Schemas["LiveTarget"];
export type State = TargetNow["state"];
type Now = Pick<Live, "upstreams">;

const WORST: readonly State[] = ["cooling", "probing", "up"];

/** A target as the workers see it now, over all accounts of its upstream; null: none has told of it. */
export function targetNow(now: Now | null, upstream: string, upstreamModel: string): TargetNow | null {
  const targets = now?.upstreams.find((each) => each.upstream === upstream)?.targets;
  const accounts = targets?.filter((each) => each.upstream_model === upstreamModel) ?? [];
  const [first, ...others] = accounts;
  return first === undefined ? null : others.reduce(both, first);
}

/** The same of one account. */
export function accountNow(
  now: Now | null,
  upstream: string,
  upstreamModel: string,
  account: number | null,
): TargetNow | null {
  const targets = now?.upstreams.find((each) => each.upstream === upstream)?.targets;
  return targets?.find((each) => each.upstream_model === upstreamModel && each.account === account) ?? null;
}

function both(one: TargetNow, other: TargetNow): TargetNow {
  const ageOf = ({ last_failure_s }: TargetNow): number => last_failure_s ?? Number.POSITIVE_INFINITY;
  const { last_failure, last_failure_s } = ageOf(other) < ageOf(one) ? other : one;
  return {
    upstream_model: one.upstream_model,
    account: null,
    state: WORST.find((state) => state === one.state || state === other.state) ?? one.state,
    in_flight: one.in_flight + other.in_flight,
    cooling_s: Math.max(one.cooling_s, other.cooling_s),
    last_failure,
    last_failure_s,
  };
}

/** How many requests run at these targets, each counted once; null: nobody knows. */
export function runningAt(
  now: Now | null,
  targets: readonly { upstream: string; upstream_model: string }[],
): number | null {
  if (now === null) return null;
  const places = new Map(targets.map((each) => [`${each.upstream} ${each.upstream_model}`, each]));
  let running = 0;
  for (const { upstream, upstream_model } of places.values()) {
    running += targetNow(now, upstream, upstream_model)?.in_flight ?? 0;
  }
  return running;
}

/** Attempts at an upstream since the gateway started: those that worked or were given up, and the others. */
export function attemptsAt(now: Now | null, upstream: string): { all: number; failed: number } | null {
  const attempts = now?.upstreams.find((each) => each.upstream === upstream)?.attempts;
  if (attempts === undefined) return null;
  let all = 0;
  let failed = 0;
  for (const { outcome, count } of attempts) {
    all += count;
    if (outcome !== "ok" && outcome !== "client_gone") failed += count;
  }
  return { all, failed };
}
