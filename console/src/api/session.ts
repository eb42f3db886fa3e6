import { computed, signal } from "@preact/signals";
import { reach } from "./connection.ts";
import { ApiFault, faultOf } from "./fault.ts";
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

export const session = signal<Session | null>(null);
/** Why nobody is signed in any more, in the gateway's words; null: nobody was thrown out. */
export const endedBy = signal<ApiFault | null>(null);
export const isAdmin = computed(() => session.value !== null && session.value.kind !== "model");
export const mayChange = computed(() => session.value?.kind === "admin");

/** The key with which the playground asks; an admin key calls no model. */
export const modelKey = signal<string | null>(null);

/** Find out what a key is, and sign in with it. Throws ApiFault and Unreachable. */
export async function signIn(secret: string): Promise<void> {
  const found = await lookUp(secret);
  sessionStorage.setItem(STORED, secret);
  if (found.kind === "model") keepModelKey(secret);
  endedBy.value = null;
  session.value = found;
}

export function signOut(): void {
  sessionStorage.removeItem(STORED);
  sessionStorage.removeItem(MODEL_KEY_STORED);
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
  if (secret === null) sessionStorage.removeItem(MODEL_KEY_STORED);
  else sessionStorage.setItem(MODEL_KEY_STORED, secret);
  modelKey.value = secret;
}

/** Take up the session of this tab, after a reload of the page. Throws Unreachable. */
export async function resume(): Promise<void> {
  const secret = sessionStorage.getItem(STORED);
  modelKey.value = sessionStorage.getItem(MODEL_KEY_STORED);
  if (secret === null) return;
  try {
    await signIn(secret);
  } catch (error) {
    if (!(error instanceof ApiFault)) throw error;
    signOut();
    endedBy.value = error;
  }
}

/** Its prefix says whom to ask. A browser puts each refused request on its console, so none is asked in vain. */
async function lookUp(secret: string): Promise<Session> {
  return secret.startsWith(ADMIN_PREFIX) ? lookUpAdmin(secret) : lookUpClient(secret);
}

async function lookUpAdmin(secret: string): Promise<Session> {
  const { response, body } = await ask("/admin/v1/me", secret);
  if (!response.ok) throw faultOf(response, body);
  const { name, kind } = body as { name: string; kind: KeyKind };
  return { secret, name, kind };
}

async function lookUpClient(secret: string): Promise<Session> {
  const { response, body } = await ask("/v1/usage/me", secret);
  if (!response.ok) throw faultOf(response, body);
  return { secret, name: (body as { key: { name: string } }).key.name, kind: "model" };
}

async function ask(path: string, secret: string): Promise<{ response: Response; body: unknown }> {
  const response = await reach(path, { headers: { authorization: `Bearer ${secret}` } });
  return { response, body: await response.json().catch(() => null) };
}
