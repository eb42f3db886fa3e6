/** What an entry of the audit says. No DOM here. */
import type { Schemas } from "../../api/client.ts";
import { type Change, changesOf } from "../../lib/changes.ts";

export type Entry = Schemas["AuditEntrySchema"];

/** What it changed. Of a thing that was made: what it has, without its id, which is in the target. */
export function changesIn({ before, after }: Entry): Change[] {
  return changesOf(before, after).filter(({ path }) => path !== "id");
}

const PAGES: Record<string, string> = { key: "keys", project: "projects" };

/** The page of what an entry is about, `key 12`; null: it has none of its own. */
export function pageOf(target: string): string | null {
  const [kind = "", id = ""] = target.split(" ");
  const page = PAGES[kind];
  return page === undefined || !/^\d+$/.test(id) ? null : `/console/${page}/${id}`;
}

/** The page of who made a change, `key 7 (ops)`; null: it was no key. */
export function pageOfActor(actor: string): string | null {
  return pageOf(actor.split(" ").slice(0, 2).join(" "));
}
