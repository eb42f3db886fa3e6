import { useLocation } from "preact-iso";

/** Null or empty: without it. `replace`: "back" does not undo this change, as of a text that is being typed. */
export type ChangeQuery = (changes: Record<string, string | null>, replace?: boolean) => void;

/** The query of the page's address, so that a filtered page can be sent as a link, and "back" undoes a filter. */
export function useQuery(): [Record<string, string>, ChangeQuery] {
  const { query, route } = useLocation();
  const change: ChangeQuery = (changes, replace = false) => {
    const all = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") all.delete(name);
      else all.set(name, value);
    }
    const text = all.toString();
    // Not the `path` of `useLocation`, which has lost the slash of `/console/`.
    const { pathname } = location;
    route(text === "" ? pathname : `${pathname}?${text}`, replace);
  };
  return [query, change];
}
