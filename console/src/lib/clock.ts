import { signal } from "@preact/signals";

/** The `date` of an answer is whole seconds, and the answer takes its time: less than this is no difference. */
const SLACK_MS = 10_000;

/** How far the browser's clock is behind the gateway's; zero as long as they agree. */
const behindMs = signal(0);

/** Compare the clocks by an answer's `date`, a header that says when it was made. */
export function setClock(date: string | null, received = Date.now()): void {
  const made = Date.parse(date ?? "");
  if (Number.isNaN(made)) return;
  const difference = made - received;
  if (Math.abs(difference - behindMs.peek()) < SLACK_MS) return;
  behindMs.value = Math.abs(difference) < SLACK_MS ? 0 : difference;
}

/** The gateway's time, Unix in milliseconds: what it tells is of then, however wrong the browser's clock is. */
export function now(): number {
  return Date.now() + behindMs.value;
}
