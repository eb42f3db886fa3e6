import { signal } from "@preact/signals";
import type { JSX } from "preact";

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

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status">
      {toasts.value.map((each) => (
        <div key={each.id} class="toast">
          {each.text}
        </div>
      ))}
    </div>
  );
}
