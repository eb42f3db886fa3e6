import { duration, grouped } from "../../lib/format.ts";
import type { MODELS } from "./texts.ts";

type Words = typeof MODELS.en;

export function modalityWords(modalities: readonly string[], t: Words): string {
  const words: Record<string, string | undefined> = t.modalities;
  return modalities.map((each) => words[each] ?? each).join(t.comma);
}

interface ModelLimits {
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  concurrent_requests: number | null;
}

/** Empty: it has none. */
export function limitWords(limits: ModelLimits, t: Words): string[] {
  const { requests_per_minute: requests, tokens_per_minute: tokens, concurrent_requests: atOnce } = limits;
  return [
    ...(requests === null ? [] : [t.details.perMinute(grouped(requests))]),
    ...(tokens === null ? [] : [t.details.tokensPerMinute(grouped(tokens))]),
    ...(atOnce === null ? [] : [t.details.atOnce(grouped(atOnce))]),
  ];
}

interface UpstreamLimits {
  requests_per_minute: number | null;
  tokens_per_minute: number | null;
  max_in_flight: number | null;
  wait_s: number;
}

export function upstreamLimitWords(limits: UpstreamLimits, t: Words): string[] {
  const { requests_per_minute: requests, tokens_per_minute: tokens, max_in_flight: atOnce, wait_s } = limits;
  const u = t.upstreams;
  return [
    ...(requests === null ? [] : [u.perMinute(grouped(requests))]),
    ...(tokens === null ? [] : [u.tokensPerMinute(grouped(tokens))]),
    ...(atOnce === null ? [] : [u.inFlight(grouped(atOnce))]),
    ...(wait_s > 0 ? [u.waits(duration(wait_s))] : []),
  ];
}
