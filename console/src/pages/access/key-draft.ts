import type { Schemas } from "../../api/client.ts";
import { localInput } from "../../lib/local-input.ts";
import {
  type DraftFault,
  emptyRules,
  type Reading,
  type RulesBody,
  type RulesDraft,
  readRules,
  rulesDraftOf,
} from "./rules-draft.ts";

/** A key as a form has it, and what of it is sent. */

export type KeyKind = Schemas["KeySchema"]["kind"];
export type ExpiryChoice = "never" | "7" | "30" | "90" | "365" | "exact";
export const EXPIRY_CHOICES: readonly ExpiryChoice[] = ["never", "7", "30", "90", "365", "exact"];

export interface KeyDraft {
  name: string;
  kind: KeyKind;
  project: string;
  mayUseAllModels: boolean;
  models: string[];
  /** Days from now, or `exact`. */
  expiry: ExpiryChoice;
  /** In the viewer's zone: `2026-11-26T08:00`. */
  expiresAt: string;
  owner: string;
  trustsUserHeader: boolean;
  rules: RulesDraft;
}

export interface KeyBody extends RulesBody {
  name?: string;
  kind?: KeyKind;
  project?: string;
  models?: string[] | null;
  expires_at?: string | null;
  owner?: string | null;
  trusts_user_header?: boolean;
}

export function emptyKey(project: string): KeyDraft {
  return {
    name: "",
    kind: "model",
    project,
    mayUseAllModels: true,
    models: [],
    expiry: "never",
    expiresAt: "",
    owner: "",
    trustsUserHeader: false,
    rules: emptyRules(),
  };
}

export function keyDraftOf(key: Schemas["KeySchema"]): KeyDraft {
  return {
    name: key.name,
    kind: key.kind,
    project: key.project,
    mayUseAllModels: key.models === null,
    models: key.models ?? [],
    expiry: key.expires_at === null ? "never" : "exact",
    expiresAt: localInput(key.expires_at),
    owner: key.owner ?? "",
    trustsUserHeader: key.trusts_user_header,
    rules: rulesDraftOf(key),
  };
}

const DAY_MS = 86_400_000;

/** When a key of this draft ends; null: never, undefined: that can't be read. */
export function expiryOf(draft: KeyDraft, now: Date): Date | null | undefined {
  if (draft.expiry === "never") return null;
  if (draft.expiry !== "exact") return new Date(now.getTime() + Number(draft.expiry) * DAY_MS);
  const at = new Date(draft.expiresAt);
  return Number.isNaN(at.getTime()) ? undefined : at;
}

/** All that a new key needs. */
export function readNewKey(draft: KeyDraft, now: Date): Reading<KeyBody> {
  const reading = readKeyChange(emptyKey(""), draft, now);
  reading.body.kind = draft.kind;
  if (reading.body.name === undefined) reading.faults.push({ param: "name", reason: "missing" });
  return reading;
}

/** What differs, and nothing else: what another admin changed meanwhile stays. */
export function readKeyChange(before: KeyDraft, after: KeyDraft, now: Date): Reading<KeyBody> {
  const isModelKey = after.kind === "model";
  const reading: Reading<KeyBody> = isModelKey
    ? readRules(before.rules, after.rules)
    : { body: {}, faults: [], limitsByRows: [] };
  const { body, faults } = reading;
  const name = after.name.trim();
  if (name !== before.name) {
    if (name === "") faults.push({ param: "name", reason: "missing" });
    body.name = name;
  }
  if (after.kind !== before.kind) body.kind = after.kind;
  if (after.project !== before.project) body.project = after.project;
  const owner = after.owner.trim();
  if (owner !== before.owner) body.owner = owner === "" ? null : owner;
  if (after.expiry !== before.expiry || (after.expiry === "exact" && after.expiresAt !== before.expiresAt)) {
    const at = expiryOf(after, now);
    if (at === undefined) faults.push({ param: "expires_at", reason: "time" });
    else body.expires_at = at === null ? null : at.toISOString();
  }
  if (!isModelKey) return reading;
  readModels(before, after, body, faults);
  if (after.trustsUserHeader !== before.trustsUserHeader) body.trusts_user_header = after.trustsUserHeader;
  return reading;
}

function readModels(before: KeyDraft, after: KeyDraft, body: KeyBody, faults: DraftFault[]): void {
  const modelsOf = (draft: KeyDraft): string[] | null =>
    draft.mayUseAllModels ? null : draft.models.toSorted();
  const models = modelsOf(after);
  if (JSON.stringify(models) === JSON.stringify(modelsOf(before))) return;
  body.models = models;
  if (models !== null && models.length === 0) faults.push({ param: "models", reason: "models" });
}
