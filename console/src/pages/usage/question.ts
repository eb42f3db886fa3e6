import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import type { ListPage } from "../../lib/paged.ts";

export type UsageRow = Schemas["UsageRow"];

export const DIMENSIONS = ["model", "key", "project", "user", "upstream", "api"] as const;
export type Dimension = (typeof DIMENSIONS)[number];
export const BUCKETS = ["none", "hour", "day", "week", "month"] as const;
export type Bucket = (typeof BUCKETS)[number];
export const TIMES = ["day", "week", "month", "quarter", "all", "own"] as const;
export type TimeChoice = (typeof TIMES)[number];
export const MEASURES = ["requests", "tokens", "cost", "errors"] as const;
export type Measure = (typeof MEASURES)[number];

/** What is asked, as the address has it. */
export interface Question {
  by: readonly Dimension[];
  bucket: Bucket;
  time: TimeChoice;
  since: string | null;
  until: string | null;
  measure: Measure;
  filters: Filters;
}

export interface Filters {
  model: string | null;
  key_id: string | null;
  project_id: string | null;
  user: string | null;
  upstream: string | null;
  api: string | null;
}

const DAY_MS = 86_400_000;
const DAYS: Partial<Record<TimeChoice, number>> = { day: 1, week: 7, month: 30, quarter: 90 };

function oneOf<Value extends string>(
  known: readonly Value[],
  value: string | undefined,
  otherwise: Value,
): Value {
  return known.find((each) => each === value) ?? otherwise;
}

/** Read an address. What it does not know is left out. */
export function questionOf(query: Record<string, string>, now = gatewayTime()): Question {
  const asked = (query["by"] ?? "model").split(",");
  const time = oneOf(TIMES, query["time"], "month");
  const days = DAYS[time];
  const own = time === "own" ? { since: query["since"] ?? null, until: query["until"] ?? null } : null;
  return {
    by: DIMENSIONS.filter((each) => asked.includes(each)),
    bucket: oneOf(BUCKETS, query["bucket"], "none"),
    time,
    since: own?.since ?? (days === undefined ? null : hourOf(now - days * DAY_MS)),
    until: own?.until ?? null,
    measure: oneOf(MEASURES, query["measure"], "requests"),
    filters: {
      model: query["model"] || null,
      key_id: query["key_id"] || null,
      project_id: query["project_id"] || null,
      user: query["user"] || null,
      upstream: query["upstream"] || null,
      api: query["api"] || null,
    },
  };
}

const HOUR_MS = 3_600_000;

/** The same within an hour, so that going from page to page asks the same. */
function hourOf(ms: number): string {
  return new Date(Math.floor(ms / HOUR_MS) * HOUR_MS).toISOString();
}

/** The bucket of the plot: the table's own, or one that makes some dozens of steps. */
export function plotBucket({ bucket, time, since, until }: Question): "hour" | "day" | "week" | "month" {
  if (bucket !== "none") return bucket;
  if (time === "day") return "hour";
  if (time !== "own" || since === null) return time === "all" ? "week" : "day";
  const span = (until === null ? gatewayTime() : Date.parse(until)) - Date.parse(since);
  return span <= 3 * DAY_MS ? "hour" : "day";
}

export const STEP_S = { hour: 3_600, day: 86_400, week: 604_800, month: 2_629_746 } as const;

interface Asked {
  by: string;
  order?: "group" | Measure;
  limit: number;
  cursor?: string | undefined;
}

/** Ask the sums. `more`: further filters, of one group. */
export function askUsage(
  question: Question,
  asked: Asked,
  signal: AbortSignal,
  more: Partial<Filters> = {},
): Promise<ListPage<UsageRow>> {
  const { since, until } = question;
  const { key_id, project_id, ...texts } = { ...question.filters, ...more };
  const given = Object.entries({ ...texts, since, until, cursor: asked.cursor ?? null }).filter(
    ([, value]) => value !== null,
  );
  const query = {
    by: asked.by,
    limit: asked.limit,
    ...(asked.order === undefined ? {} : { order: asked.order }),
    ...Object.fromEntries(given),
    ...(key_id === null ? {} : { key_id: Number(key_id) }),
    ...(project_id === null ? {} : { project_id: Number(project_id) }),
  };
  return unwrap(admin.GET("/admin/v1/usage", { params: { query }, signal }));
}

/** The groups of the table, as the API takes them. */
export function groupsOf({ by, bucket }: Question): string {
  const all = [...by, ...(bucket === "none" ? [] : [bucket])];
  return all.length === 0 ? "all" : all.join(",");
}

/** The filters that choose just the group of a row; null: a group that no filter can choose. */
export function filtersOf(row: UsageRow, by: readonly Dimension[]): Partial<Filters> | null {
  const filters: Partial<Filters> = {};
  for (const dimension of by) {
    const value =
      dimension === "key" ? row.key?.id : dimension === "project" ? row.project?.id : row[dimension];
    if (value === null || value === undefined) return null;
    filters[dimension === "key" ? "key_id" : dimension === "project" ? "project_id" : dimension] =
      String(value);
  }
  return filters;
}

/** What a group has of a measure other than money. */
export function countOf(row: UsageRow, measure: Exclude<Measure, "cost">): number {
  return measure === "tokens" ? row.prompt_tokens + row.completion_tokens : row[measure];
}
