/** What an `<input type="datetime-local">` has: `2026-11-26T08:00`, in the viewer's zone. */

/** From RFC 3339; empty: there is no time, or it can't be read. */
export function localInput(utc: string | null | undefined): string {
  const at = new Date(utc ?? "");
  if (Number.isNaN(at.getTime())) return "";
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${String(at.getFullYear()).padStart(4, "0")}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}T${two(at.getHours())}:${two(at.getMinutes())}`;
}

/** The other way round, as RFC 3339 in UTC; null: nothing was entered. */
export function utcOfInput(local: string): string | null {
  const at = new Date(local);
  return Number.isNaN(at.getTime()) ? null : at.toISOString();
}
