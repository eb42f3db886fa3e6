import { signal } from "@preact/signals";

/** Whether somebody may be looking: a tab in the background asks nothing. */
export const isVisible = signal(true);

// Tests of what has no page have no document.
if (typeof document !== "undefined") {
  const look = (): void => {
    isVisible.value = document.visibilityState === "visible";
  };
  look();
  document.addEventListener("visibilitychange", look);
}
