import type { JSX } from "preact";

/** Strokes on a grid of 16. */
const STROKES = {
  overview: "M2 13V8m4 5V3m4 10V6m4 7V9",
  playground: "M3 3h10v7H7l-3 3v-3H3zM6 6h4",
  models: "M8 2l5.5 3v6L8 14l-5.5-3V5zM2.5 5L8 8l5.5-3M8 8v6",
  keys: "M9.5 6.5a3 3 0 1 0-2.2 2.9L8.5 10.5H10V12h1.5v1.5H14v-2L9.4 7.3M5.8 5.8h.01",
  projects: "M2 4.5h4l1.5 1.5H14v7H2z",
  requests: "M2 4h12M2 8h12M2 12h7",
  usage: "M8 2a6 6 0 1 0 6 6H8z M10.5 2.5a6 6 0 0 1 3 3h-3z",
  system: "M2 3h12v4H2zM2 9h12v4H2zM4.5 5h.01M4.5 11h.01",
  close: "M4 4l8 8M12 4l-8 8",
  copy: "M6 6h7v7H6zM3 10V3h7",
  check: "M3 8.5l3.5 3.5L13 4.5",
  menu: "M2 4h12M2 8h12M2 12h12",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.5M8 13.5V15M1 8h1.5M13.5 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13 9.5A5.5 5.5 0 0 1 6.5 3 5.5 5.5 0 1 0 13 9.5z",
  auto: "M8 2a6 6 0 1 0 0 12zM8 2a6 6 0 0 1 0 12",
  search: "M7 2.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM10.5 10.5L14 14",
  leave: "M9 3H3v10h6M7 8h7M11.5 5.5L14 8l-2.5 2.5",
  plus: "M8 3v10M3 8h10",
  image: "M2 3h12v10H2zM2 11l4-4 3 3 2-2 3 3M10.5 6h.01",
  stop: "M4 4h8v8H4z",
  send: "M2.5 8L13.5 3l-3 10-3-4zM7.5 9l6-6",
  refresh: "M13 8a5 5 0 1 1-1.5-3.5L13 6M13 2.5V6H9.5",
  download: "M8 2v8M4.5 7L8 10.5 11.5 7M2.5 13.5h11",
  left: "M10 3L5 8l5 5",
  right: "M6 3l5 5-5 5",
  down: "M3 6l5 5 5-5",
  more: "M3.5 8h.01M8 8h.01M12.5 8h.01",
  warn: "M8 2L1.5 13.5h13zM8 6.5v3M8 11.5h.01",
  edit: "M3 13l.6-2.7 7.4-7.4 2.1 2.1-7.4 7.4zM9.5 4.4l2.1 2.1",
  trash: "M3 4.5h10M6 4.5V3h4v1.5M4.5 4.5l.5 9h6l.5-9",
} as const;

export type IconName = keyof typeof STROKES;

/** Decoration: what it means must also be said in words. */
export function Icon({ name }: { name: IconName }): JSX.Element {
  return (
    <svg
      viewBox="0 0 16 16"
      width="16"
      height="16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.5"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      <path d={STROKES[name]} />
    </svg>
  );
}

export function Mark(): JSX.Element {
  return (
    <svg viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" fill="var(--accent)" />
      <path
        d="M8 9v14h5M16 9l5 7-5 7"
        fill="none"
        stroke="var(--on-accent)"
        stroke-width="3"
        stroke-linecap="round"
        stroke-linejoin="round"
      />
    </svg>
  );
}
