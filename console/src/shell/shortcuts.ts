import { useLayoutEffect, useRef } from "preact/hooks";
import type { PageName } from "./routes.ts";

/** The second key behind `g`, of each page. */
export const PAGE_KEYS: Record<PageName, string> = {
  overview: "o",
  mine: "o",
  playground: "p",
  models: "m",
  keys: "k",
  projects: "j",
  requests: "r",
  usage: "u",
  system: "s",
};

const GO = "g";
/** The second key must come within this time. */
const PAUSE_MS = 1_500;
const FIRST_FILTER = "main :is(search, .filters) :is(input, select)";
const FIELDS = "input, textarea, select, [contenteditable=true]";

/** As keyboards call it here: `⌘K`, `Ctrl K`. */
export const PALETTE_KEYS: readonly string[] = /Mac|iPhone|iPad/.test(navigator.platform)
  ? ["⌘", "K"]
  : ["Ctrl", "K"];

interface Deeds {
  onPalette: () => void;
  onHelp: () => void;
  /** With the key behind `g`. */
  onPage: (key: string) => void;
}

/** Listens for the shortcuts. Nothing happens while somebody types or a dialog asks something. */
export function useShortcuts({ onPalette, onHelp, onPage }: Deeds): void {
  // Outlives the listener: each address brings another `onPage`.
  const goUntilMs = useRef(0);
  // A passive effect would be made one paint after the page, and a key in between be lost.
  useLayoutEffect(() => {
    const heed = (event: KeyboardEvent): void => {
      if (event.isComposing || document.querySelector("dialog[open]") !== null) return;
      const key = event.key.toLowerCase();
      if ((event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey && key === "k") {
        event.preventDefault();
        onPalette();
        return;
      }
      const isTyping = event.target instanceof Element && event.target.closest(FIELDS) !== null;
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.timeStamp < goUntilMs.current) {
        goUntilMs.current = 0;
        onPage(key);
      } else if (key === GO) goUntilMs.current = event.timeStamp + PAUSE_MS;
      else if (key === "?") onHelp();
      else if (key === "/") {
        const field = document.querySelector<HTMLElement>(FIRST_FILTER);
        if (field === null) return;
        event.preventDefault(); // else it is typed there
        field.focus();
      }
    };
    document.addEventListener("keydown", heed);
    return () => document.removeEventListener("keydown", heed);
  }, [onPalette, onHelp, onPage]);
}
