/** RFC 4180, with a byte order mark so that spreadsheets read it as UTF-8. */

export type Cell = string | number | boolean | null | undefined;

const MARK = "\uFEFF";

/** Spreadsheets run what begins like a formula; a text of a stranger must not. */
function safe(text: string): string {
  return /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
}

function cell(value: Cell): string {
  if (value === null || value === undefined) return "";
  if (typeof value !== "string") return String(value);
  const text = safe(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

/** One record, with its line end. */
export function csvLine(values: readonly Cell[]): string {
  return `${values.map(cell).join(",")}\r\n`;
}

/** A file out of the titles of its columns and its records (`csvLine`). */
export function csvOf(header: readonly string[], lines: readonly string[]): Blob {
  return new Blob([MARK, csvLine(header), ...lines], { type: "text/csv;charset=utf-8" });
}

/** Let the browser save a file. */
export function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  URL.revokeObjectURL(url);
}
