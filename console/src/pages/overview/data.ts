import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { type Live, live } from "../../api/live.ts";
import { now as gatewayTime } from "../../lib/clock.ts";

export type UsageRow = Schemas["UsageRow"];
export type Range = "day" | "week" | "month";

const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;

interface Span {
  lengthS: number;
  bucket: "hour" | "day";
  stepS: number;
}

export const SPANS: Record<Range, Span> = {
  day: { lengthS: DAY_S, bucket: "hour", stepS: HOUR_S },
  week: { lengthS: 7 * DAY_S, bucket: "hour", stepS: HOUR_S },
  month: { lengthS: 30 * DAY_S, bucket: "day", stepS: DAY_S },
};

const TOP = 7;
/** More than the hours of a week. */
const MOST_BUCKETS = 200;

export interface Overview {
  since: string;
  all: UsageRow;
  trend: UsageRow[];
  models: UsageRow[];
  projects: UsageRow[];
  keys: UsageRow[];
  /** As the gateway was seen just before: what it counts from then on is added. */
  live: Live | null;
}

/** The sums of a time, each asked once; what comes later is added by the live counters. */
export async function loadOverview(range: Range, signal: AbortSignal): Promise<Overview> {
  const { lengthS, bucket } = SPANS[range];
  const before = live.peek();
  const since = new Date(gatewayTime() - lengthS * 1000).toISOString();
  const sum = async (query: {
    by: string;
    order?: "cost" | "requests";
    limit?: number;
    latency?: boolean;
  }) => {
    const answer = await unwrap(
      admin.GET("/admin/v1/usage", { params: { query: { since, ...query } }, signal }),
    );
    return answer.data;
  };
  const [all, trend, models, projects, keys] = await Promise.all([
    sum({ by: "all", latency: true }),
    sum({ by: bucket, latency: true, limit: MOST_BUCKETS }),
    sum({ by: "model", order: "requests", limit: TOP }),
    sum({ by: "project", order: "requests", limit: TOP }),
    sum({ by: "key", order: "requests", limit: TOP }),
  ]);
  const first = all[0];
  if (first === undefined) throw new Error("the sum of everything has no row");
  return { since, all: first, trend, models, projects, keys, live: before };
}
