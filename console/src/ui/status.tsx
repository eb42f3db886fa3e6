import type { JSX } from "preact";
import { Tag, type Tone } from "./basics.tsx";

/** Nobody's fault: the client left. */
const CLIENT_LEFT = 499;
const LEFT = new Set(["client_gone", "client_stalled"]);

/** An HTTP status; one of a success may still have broken off, which its kind of failure says. */
export function StatusTag({ status, kind }: { status: number; kind: string | null }): JSX.Element {
  return <Tag tone={toneOf(status, kind)}>{status}</Tag>;
}

function toneOf(status: number, kind: string | null): Tone {
  if (status === CLIENT_LEFT || (kind !== null && LEFT.has(kind))) return "neutral";
  if (status >= 500) return "bad";
  return status >= 400 || kind !== null ? "warn" : "good";
}
