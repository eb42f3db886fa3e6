import type { Schemas } from "../../api/client.ts";
import { LIMIT_NAMES, type LimitName } from "./rules-draft.ts";

export type Whose = "key" | "project" | "default" | "model";

/** One limit that binds a key or a project. */
export interface LimitLine {
  kind: LimitName;
  whose: Whose;
  /** Null: of all models together. */
  model: string | null;
  isPerUser: boolean;
  limit: number;
  /** What would be let through now; null: it can't be known. */
  remaining: number | null;
}

/** Limits of one owner, of all kinds at once. */
export type LimitEntry = Schemas["LimitsByShown"] & { whose: Whose };

type Left = Schemas["LimitLeftSchema"];

/** All limits, each with what is left of it. `left` also has those of models, which nobody set for this owner. */
export function limitLines(entries: readonly LimitEntry[], left: readonly Left[] | null): LimitLine[] {
  const unmatched = new Set(left ?? []);
  const lines = entries.flatMap((entry) =>
    LIMIT_NAMES.flatMap((kind): LimitLine[] => {
      const limit = entry[kind];
      if (limit === null) return [];
      const { whose, model, per_user } = entry;
      const found = per_user ? undefined : left?.find((each) => each.kind === kind && isOf(each, entry));
      if (found !== undefined) unmatched.delete(found);
      return [{ kind, whose, model, isPerUser: per_user, limit, remaining: found?.remaining ?? null }];
    }),
  );
  const ofModels = [...unmatched].filter((each) => each.scope === "model");
  return [
    ...lines,
    ...ofModels.map(({ kind, model, limit, remaining }): LimitLine => {
      return { kind, whose: "model", model, isPerUser: false, limit, remaining };
    }),
  ];
}

/** A default counts as the key's own. */
function isOf(left: Left, entry: LimitEntry): boolean {
  const owner = entry.whose === "default" ? "key" : entry.whose;
  return left.scope === (entry.model === null ? owner : `${owner}_model`) && left.model === entry.model;
}
