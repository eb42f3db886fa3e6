import type { Schemas } from "../../api/client.ts";
import type { Live } from "../../api/live.ts";

export type TargetNow = Schemas["LiveTarget"];
export type State = TargetNow["state"];
type Now = Pick<Live, "upstreams">;

/** A target as the workers see it now; null: none has told of it. */
export function targetNow(now: Now | null, upstream: string, upstreamModel: string): TargetNow | null {
  const targets = now?.upstreams.find((each) => each.upstream === upstream)?.targets;
  return targets?.find((each) => each.upstream_model === upstreamModel) ?? null;
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
