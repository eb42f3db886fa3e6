import { effect, signal } from "@preact/signals";
import { Unreachable } from "./fault.ts";

const RETRY_MS = 2_000;

/** Whether the gateway answered when it was last asked. */
export const isConnected = signal(true);

/** `fetch` that knows whether the gateway can be reached. Throws Unreachable; an abort passes as it is. */
export async function reach(input: RequestInfo | URL, init?: RequestInit): Promise<Response> {
  try {
    const response = await fetch(input, init);
    isConnected.value = true;
    return response;
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    isConnected.value = false;
    throw new Unreachable();
  }
}

/** While it does not answer, ask whether it does again. */
effect(() => {
  if (isConnected.value) return;
  const timer = setInterval(() => reach("/healthz").catch(() => undefined), RETRY_MS);
  return () => clearInterval(timer);
});
