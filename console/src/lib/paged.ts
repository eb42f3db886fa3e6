/** A page of a list of the admin API. */
export interface ListPage<Row> {
  data: Row[];
  next_cursor: string | null;
}

/** The most rows that the admin API gives in a page. */
export const MAX_PAGE_ROWS = 500;

/** The most rows of an export: a page of a browser holds all of them in memory. */
export const MAX_EXPORT_ROWS = 100_000;

/**
 * All rows of a list, a page at a time, at most `MAX_EXPORT_ROWS`. For exports only: a page of the console shows
 * one page of a list.
 */
export async function everyRow<Row>(
  load: (cursor: string | undefined) => Promise<ListPage<Row>>,
  onRows: (rows: readonly Row[]) => void,
): Promise<{ rows: number; isCut: boolean }> {
  let cursor: string | undefined;
  let rows = 0;
  for (;;) {
    const page = await load(cursor);
    onRows(page.data);
    rows += page.data.length;
    if (page.next_cursor === null) return { rows, isCut: false };
    if (rows >= MAX_EXPORT_ROWS) return { rows, isCut: true };
    cursor = page.next_cursor;
  }
}
