import { useLocation } from "preact-iso";

/** The query of the page's address, so that a filtered page can be sent as a link, and "back" undoes a filter. */
export function useQuery(): [Record<string, string>, (changes: Record<string, string | null>) => void] {
  const { path, query, route } = useLocation();
  const change = (changes: Record<string, string | null>): void => {
    const all = new URLSearchParams(query);
    for (const [name, value] of Object.entries(changes)) {
      if (value === null || value === "") all.delete(name);
      else all.set(name, value);
    }
    const text = all.toString();
    route(text === "" ? path : `${path}?${text}`);
  };
  return [query, change];
}
