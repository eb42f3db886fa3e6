import { effect, signal } from "@preact/signals";
import { setClock } from "../lib/clock.ts";
import { isVisible } from "../lib/visible.ts";
import { Unreachable } from "./fault.ts";

const RETRY_MS = 2_000;
/** Any proxy in front of the gateway that lets the console through lets this through. */
export const ALWAYS_THERE = "/console/";
/** With these a proxy says that nobody answers behind it. The gateway's own have a body in JSON. */
const OF_PROXIES: ReadonlySet<number> = new Set([502, 503, 504]);

function isOfProxy({ status, headers }: Response): boolean {
  return OF_PROXIES.has(status) && headers.get("content-type")?.startsWith("application/json") !== true;
}

/** Whether the gateway answered when it was last asked. */
export const isConnected = signal(true);

/** `fetch` that knows whether the gateway can be reached. Throws Unreachable; an abort passes as it is. */
export async function reach(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    return null;
  });
  isConnected.value = response !== null && !isOfProxy(response);
  if (isConnected.value) setClock(response?.headers.get("date") ?? null);
  if (response === null || !isConnected.value) throw new Unreachable();
  return response;
}

/** While it does not answer and somebody looks, ask whether it does again. */
effect(() => {
  if (isConnected.value || !isVisible.value) return;
  const timer = setInterval(() => reach(ALWAYS_THERE, { method: "HEAD" }).catch(() => undefined), RETRY_MS);
  return () => clearInterval(timer);
});
