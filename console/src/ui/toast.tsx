import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";

const SHOWN_MS = 4000;
const toasts = signal<readonly { id: number; text: string }[]>([]);
let last = 0;

/** Say for a moment that something was done. Faults stay where they happened: they are no toasts. */
export function toast(text: string): void {
  last += 1;
  const id = last;
  toasts.value = [...toasts.value, { id, text }];
  setTimeout(() => {
    toasts.value = toasts.value.filter((each) => each.id !== id);
  }, SHOWN_MS);
}

/** A popover, so that it is seen above dialogs too: each toast lifts it above the latest one. */
export function Toasts(): JSX.Element {
  const element = useRef<HTMLDivElement>(null);
  const count = toasts.value.length;
  useEffect(() => {
    const { current } = element;
    if (current === null) return;
    if (current.matches(":popover-open")) current.hidePopover();
    if (count > 0) current.showPopover();
  }, [count]);
  return (
    <div ref={element} class="toasts" role="status" popover="manual">
      {toasts.value.map((each) => (
        <div key={each.id} class="toast">
          {each.text}
        </div>
      ))}
    </div>
  );
}
