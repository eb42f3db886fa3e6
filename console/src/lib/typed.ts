import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useQuery } from "./query.ts";

/**
 * The text of a field that goes into the address a moment after the last key, and what changes it. `others`: what
 * is asked for with it.
 */
export function useTyped(
  name: string,
  pauseMs: number,
  others: Record<string, string> = {},
): [string, (text: string) => void] {
  const [query, change] = useQuery();
  const asked = query[name] ?? "";
  const [typed, setTyped] = useState(asked);
  const sent = useRef(asked);
  // Another filter may be changed while this one waits, and must stay.
  const latest = useRef(change);
  latest.current = change;
  // "Back" may change what is asked for. What was sent from here changes nothing: more may have been typed since.
  useLayoutEffect(() => {
    if (asked !== sent.current) setTyped(asked);
    sent.current = asked;
  }, [asked]);
  useLayoutEffect(() => {
    const text = typed.trim();
    if (text === sent.current) return;
    const timer = setTimeout(() => {
      sent.current = text;
      latest.current({ ...others, [name]: text }, true);
    }, pauseMs);
    return () => clearTimeout(timer);
  }, [typed]);
  return [typed, setTyped];
}
