/** What differs between two values as they come in JSON. */

export interface Change {
  /** Such as `models[0].price.input`; empty: the whole. */
  path: string;
  /** Undefined or null: it was not set. */
  before: unknown;
  /** Undefined or null: it is not set any more. */
  after: unknown;
}

/** All leaves that differ, in the order in which they are. Of what came or went, what it has, as far as it is set. */
export function changesOf(before: unknown, after: unknown, path = ""): Change[] {
  if (Object.is(before ?? undefined, after ?? undefined)) return [];
  const members = membersOf(before ?? emptyLike(after), after ?? emptyLike(before), path);
  if (members === null) return [{ path, before, after }];
  return members.flatMap(([place, old, now]) => changesOf(old, now, place));
}

/** In the place of what was not set: a list or an object without members, as the other side is. */
function emptyLike(other: unknown): unknown {
  if (Array.isArray(other)) return [];
  return isPlain(other) ? {} : undefined;
}

type Member = readonly [path: string, before: unknown, after: unknown];

/** Of two lists or two objects, the members of either; null: they are not alike. */
function membersOf(before: unknown, after: unknown, path: string): Member[] | null {
  if (Array.isArray(before) && Array.isArray(after)) {
    const [first, second]: [unknown[], unknown[]] = [before, after];
    const longer = first.length >= second.length ? first : second;
    return longer.map((_, index) => [`${path}[${index}]`, first[index], second[index]]);
  }
  if (!isPlain(before) || !isPlain(after)) return null;
  const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return names.map((name) => [path === "" ? name : `${path}.${name}`, before[name], after[name]]);
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
