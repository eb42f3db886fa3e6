import { signal } from "@preact/signals";
import { Unreachable } from "./fault.ts";

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
