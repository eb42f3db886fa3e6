import type { ComponentChildren, JSX } from "preact";
import { useState } from "preact/hooks";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import type { Resource } from "../lib/resource.ts";
import { Button, FaultNote } from "./basics.tsx";

export interface Column<Row> {
  name: string;
  title: ComponentChildren;
  isNumber?: boolean;
  /** Its text may be long: it takes several lines. */
  wraps?: boolean;
  cell: (row: Row) => ComponentChildren;
}

interface TableProps<Row> {
  /** What it lists, for those who can't see it. */
  label: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  keyOf: (row: Row) => string | number;
  /** The row whose details are shown. */
  chosen?: string | number | null;
  isLoading?: boolean;
}

/** A row that opens something has a link or a button in its first cell: rows themselves are no controls. */
export function Table<Row>({
  label,
  columns,
  rows,
  keyOf,
  chosen = null,
  isLoading = false,
}: TableProps<Row>): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="table-frame" tabIndex={0} aria-label={label}>
      <table class={`table ${isLoading ? "loading" : ""}`} aria-busy={isLoading}>
        <thead>
          <tr>
            {columns.map((column) => (
              <th key={column.name} scope="col" class={column.isNumber ? "number" : ""}>
                {column.title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)} class={keyOf(row) === chosen ? "chosen" : ""}>
              {columns.map((column) => (
                <td key={column.name} class={column.isNumber ? "number" : column.wraps ? "wraps" : ""}>
                  {column.cell(row)}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

/** Where one is in a list that comes in pages. */
export interface Pages {
  /** Of the page that is shown; null: the first. */
  cursor: string | null;
  number: number;
  next: (cursor: string) => void;
  previous: () => void;
}

/** A list's pages. They begin anew when `key` (of its filters) changes. */
export function usePages(key: string): Pages {
  const [state, setState] = useState<{ key: string; cursors: readonly string[] }>({ key, cursors: [] });
  const cursors = state.key === key ? state.cursors : [];
  return {
    cursor: cursors.at(-1) ?? null,
    number: cursors.length + 1,
    next: (cursor) => setState({ key, cursors: [...cursors, cursor] }),
    previous: () => setState({ key, cursors: cursors.slice(0, -1) }),
  };
}

/** The buttons below a table. Nothing where there is one page only. */
export function Pager({
  pages,
  nextCursor,
}: {
  pages: Pages;
  nextCursor: string | null;
}): JSX.Element | null {
  const t = textsOf(COMMON);
  if (pages.number === 1 && nextCursor === null) return null;
  return (
    <nav class="pager" aria-label={t.page(String(pages.number))}>
      <span class="muted small">{t.page(String(pages.number))}</span>
      <Button icon="left" aria-label={t.previous} disabled={pages.number === 1} onClick={pages.previous} />
      <Button
        icon="right"
        aria-label={t.next}
        disabled={nextCursor === null}
        onClick={() => {
          if (nextCursor !== null) pages.next(nextCursor);
        }}
      />
    </nav>
  );
}

interface LoadedProps<Data> {
  resource: Resource<Data>;
  children: (data: Data) => ComponentChildren;
}

/** What is made of a resource: its data as soon as there is some, with the fault of a later load above it. */
export function Loaded<Data>({ resource, children }: LoadedProps<Data>): JSX.Element {
  const t = textsOf(COMMON);
  const { data, fault, reload } = resource;
  return (
    <>
      {fault === undefined ? null : <FaultNote fault={fault} onRetry={reload} />}
      {data === undefined && fault === undefined ? (
        <p class="muted" role="status">
          {t.loading}
        </p>
      ) : null}
      {data === undefined ? null : children(data)}
    </>
  );
}
