import { computed, signal } from "@preact/signals";
import { objectIn } from "../lib/json.ts";
import { store, stored } from "../lib/storage.ts";
import { reach } from "./connection.ts";
import { ApiFault, faultOf, jsonOf, NotAKey, Unreadable } from "./fault.ts";
import type { components } from "./schema.d.ts";

export type KeyKind = components["schemas"]["KeySchema"]["kind"];

/** Who is signed in. The secret lives in sessionStorage: it ends with the tab, and is in no URL and no cookie. */
export interface Session {
  secret: string;
  kind: KeyKind;
  name: string;
}

/** Of all admin keys (`llmgw.access.key`). */
const ADMIN_PREFIX = "sk-gtw-admin-";
const STORED = "llmgw.key";
const MODEL_KEY_STORED = "llmgw.model_key";
/** A header can have nothing else; a browser that is given other characters sends nothing at all. */
const KEY = /^[\x21-\x7e]+$/;
/** With these the gateway does not accept a key; after any other answer it may do so again. */
const REFUSED: ReadonlySet<number> = new Set([401, 403]);

export const session = signal<Session | null>(null);
/** Why nobody is signed in any more, in the gateway's words; null: nobody was thrown out. */
export const endedBy = signal<ApiFault | null>(null);
export const isAdmin = computed(() => session.value !== null && session.value.kind !== "model");
export const mayChange = computed(() => session.value?.kind === "admin");

/** The key with which the playground asks; an admin key calls no model. */
export const modelKey = signal<string | null>(null);

/** Find out what a key is, and sign in with it. Throws NotAKey, ApiFault, Unreachable and Unreadable. */
export async function signIn(secret: string): Promise<void> {
  if (!KEY.test(secret)) throw new NotAKey();
  const found = await lookUp(secret);
  store("sessionStorage", STORED, secret);
  if (found.kind === "model") keepModelKey(secret);
  endedBy.value = null;
  session.value = found;
}

export function signOut(): void {
  store("sessionStorage", STORED, null);
  store("sessionStorage", MODEL_KEY_STORED, null);
  session.value = null;
  modelKey.value = null;
}

/** The key that was in force is not accepted any more. */
export function end(fault: ApiFault): void {
  if (session.value === null) return;
  signOut();
  endedBy.value = fault;
}

export function keepModelKey(secret: string | null): void {
  store("sessionStorage", MODEL_KEY_STORED, secret);
  modelKey.value = secret;
}

/**
 * Take up the session of this tab, after a reload of the page. What is no key is forgotten. Throws ApiFault where
 * the gateway can't tell now whose key it is, Unreachable and Unreadable.
 */
export async function resume(): Promise<void> {
  const secret = keyIn(STORED);
  modelKey.value = keyIn(MODEL_KEY_STORED);
  if (secret === null) return;
  try {
    await signIn(secret);
  } catch (error) {
    if (!(error instanceof ApiFault && REFUSED.has(error.status))) throw error;
    signOut();
    endedBy.value = error;
  }
}

function keyIn(name: string): string | null {
  const secret = stored("sessionStorage", name);
  if (secret === null || KEY.test(secret)) return secret;
  store("sessionStorage", name, null);
  return null;
}

/** Its prefix says whom to ask. A browser puts each refused request on its console, so none is asked in vain. */
async function lookUp(secret: string): Promise<Session> {
  return secret.startsWith(ADMIN_PREFIX) ? lookUpAdmin(secret) : lookUpClient(secret);
}

async function lookUpAdmin(secret: string): Promise<Session> {
  const { name, kind } = objectIn(await ask("/admin/v1/me", secret));
  if (typeof name !== "string" || (kind !== "admin" && kind !== "admin_read")) throw new Unreadable();
  return { secret, name, kind };
}

async function lookUpClient(secret: string): Promise<Session> {
  const { name } = objectIn(objectIn(await ask("/v1/usage/me", secret))["key"]);
  if (typeof name !== "string") throw new Unreadable();
  return { secret, name, kind: "model" };
}

async function ask(path: string, secret: string): Promise<unknown> {
  const response = await reach(path, { headers: { authorization: `Bearer ${secret}` } });
  if (!response.ok) throw faultOf(response, await response.json().catch(() => null));
  return jsonOf(response);
}
