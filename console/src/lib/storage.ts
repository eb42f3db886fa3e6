/** What a browser keeps. It may be forbidden (by a policy, or by who looks): then nothing is kept or found. */

type Kind = "localStorage" | "sessionStorage";

export function stored(kind: Kind, name: string): string | null {
  try {
    return window[kind].getItem(name);
  } catch {
    return null;
  }
}

/** Null: forget it. */
export function store(kind: Kind, name: string, value: string | null): void {
  try {
    if (value === null) window[kind].removeItem(name);
    else window[kind].setItem(name, value);
  } catch {
    // It holds for this page then.
  }
}
