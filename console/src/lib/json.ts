/** Reads what comes as JSON without a generated type: what is missing or of another kind becomes null. */

export type Json = Record<string, unknown>;

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function objectIn(value: unknown): Json {
  return isObject(value) ? value : {};
}

/** The objects of a list. */
export function objectsIn(value: unknown): Json[] {
  if (!Array.isArray(value)) return [];
  const all: unknown[] = value;
  return all.filter(isObject);
}

/** The texts of a list. */
export function textsIn(value: unknown): string[] {
  if (!Array.isArray(value)) return [];
  const all: unknown[] = value;
  return all.filter((each): each is string => typeof each === "string");
}

export function textIn(value: unknown): string | null {
  return typeof value === "string" ? value : null;
}

/** JSON in lines. What is no JSON stays as it is: a stream of events, or a body that was cut. */
export function laidOut(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

export function numberIn(value: unknown): number | null {
  return typeof value === "number" ? value : null;
}
