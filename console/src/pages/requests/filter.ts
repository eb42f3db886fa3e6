import type { paths } from "../../api/schema.d.ts";

/** What `GET /admin/v1/requests` is asked for, without the page. */
export type RequestFilter = Omit<
  NonNullable<paths["/admin/v1/requests"]["get"]["parameters"]["query"]>,
  "limit" | "cursor"
>;
/** The address has the API's own names, and `time` for the last hours or days. */
export type Query = Record<string, string>;

const HOUR_MS = 3_600_000;
export const PRESETS = ["1h", "24h", "7d", "30d"] as const;
export type Preset = (typeof PRESETS)[number];
const PRESET_MS: Record<Preset, number> = {
  "1h": HOUR_MS,
  "24h": 24 * HOUR_MS,
  "7d": 7 * 24 * HOUR_MS,
  "30d": 30 * 24 * HOUR_MS,
};
export const APIS = ["chat", "completions", "messages", "responses", "embeddings", "rerank"] as const;

/** All of them, to be taken away together. */
export const FILTER_NAMES = [
  "model",
  "key_id",
  "project_id",
  "user",
  "status",
  "status_class",
  "failed",
  "error_kind",
  "api",
  "time",
  "since",
  "until",
] as const;

export function presetOf(query: Query): Preset | null {
  return PRESETS.find((each) => each === query["time"]) ?? null;
}

function textOf(query: Query, name: string): string | undefined {
  const text = query[name];
  return text === "" ? undefined : text;
}

function wholeOf(query: Query, name: string, least: number, most: number): number | undefined {
  const text = query[name] ?? "";
  const value = Number(text);
  return /^\d{1,16}$/.test(text) && value >= least && value <= most ? value : undefined;
}

function timeOf(query: Query, name: string): string | undefined {
  const at = Date.parse(query[name] ?? "");
  return Number.isNaN(at) ? undefined : new Date(at).toISOString();
}

/** What the address asks for. Values that a filter does not have are left out: an address can be typed. */
export function filterOf(query: Query, now: number): RequestFilter {
  const preset = presetOf(query);
  const failed = query["failed"];
  const all = {
    model: textOf(query, "model"),
    key_id: wholeOf(query, "key_id", 1, Number.MAX_SAFE_INTEGER),
    project_id: wholeOf(query, "project_id", 1, Number.MAX_SAFE_INTEGER),
    user: textOf(query, "user"),
    status: wholeOf(query, "status", 100, 599),
    status_class: wholeOf(query, "status_class", 1, 5),
    failed: failed === "true" || failed === "false" ? failed === "true" : undefined,
    error_kind: textOf(query, "error_kind"),
    api: APIS.find((each) => each === query["api"]),
    since: preset === null ? timeOf(query, "since") : new Date(now - PRESET_MS[preset]).toISOString(),
    until: preset === null ? timeOf(query, "until") : undefined,
  };
  const known = Object.entries(all).filter(([, value]) => value !== undefined);
  return Object.fromEntries(known);
}

/** The part of an address that filters, in one order: a key of what is loaded. */
export function filterKeyOf(query: Query): string {
  return JSON.stringify(FILTER_NAMES.flatMap((name) => (query[name] ? [[name, query[name]]] : [])));
}

export function isFiltered(query: Query): boolean {
  return FILTER_NAMES.some((name) => (query[name] ?? "") !== "");
}

/** One choice for what three parameters of the API say: `failed`, `status_class:4`, `status:429`. */
export type Outcome = string;

export function outcomeOf(query: Query): Outcome {
  const { status, status_class, failed } = filterOf(query, 0);
  if (typeof status === "number") return `status:${status}`;
  if (typeof status_class === "number") return `status_class:${status_class}`;
  if (typeof failed === "boolean") return `failed:${failed}`;
  return "";
}

export function outcomeChanges(outcome: Outcome): Record<string, string | null> {
  const [name = "", value = ""] = outcome.split(":");
  return { status: null, status_class: null, failed: null, ...(name === "" ? {} : { [name]: value }) };
}

/** What looks like the id of a request, out of a line of a log or a header that was pasted; null: nothing. */
export function requestIdIn(text: string): string | null {
  return /\breq_[\w-]{1,120}/.exec(text)?.[0] ?? null;
}
