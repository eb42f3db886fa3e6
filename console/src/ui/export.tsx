import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { COMMON } from "../i18n/common.ts";
import { texts, textsOf } from "../i18n/texts.ts";
import { type Cell, csvLine, csvOf, save } from "../lib/csv.ts";
import { grouped } from "../lib/format.ts";
import { everyRow, type ListPage, MAX_EXPORT_ROWS } from "../lib/paged.ts";
import { useAction } from "../lib/resource.ts";
import { Button, FaultNote } from "./basics.tsx";
import { toast } from "./toast.tsx";

const TEXTS = texts(
  {
    running: (rows: string) => `${rows} rows…`,
    done: (rows: string) => `${rows} rows exported`,
    cut: (rows: string) => `The first ${rows} rows were exported: narrow the filter for the others`,
  },
  {
    running: (rows) => `已读取 ${rows} 行…`,
    done: (rows) => `已导出 ${rows} 行`,
    cut: (rows) => `只导出了前 ${rows} 行：缩小筛选范围可以导出其余部分`,
  },
);

interface ExportProps<Row> {
  /** Of the file, without `.csv`. */
  name: string;
  columns: readonly (readonly [title: string, of: (row: Row) => Cell])[];
  load: (cursor: string | undefined, signal: AbortSignal) => Promise<ListPage<Row>>;
}

/** Saves a whole list as CSV, a page after the other. A second press ends it. */
export function ExportButton<Row>({ name, columns, load }: ExportProps<Row>): JSX.Element {
  const t = textsOf(TEXTS);
  const common = textsOf(COMMON);
  const [count, setCount] = useState<number | null>(null);
  const abort = useRef<AbortController | null>(null);
  useEffect(() => () => abort.current?.abort(), []);
  const { run, fault } = useAction(async () => {
    const lines: string[] = [];
    const controller = new AbortController();
    const { signal } = controller;
    abort.current = controller;
    setCount(0);
    try {
      const { rows, isCut } = await everyRow(
        (cursor) => load(cursor, signal),
        (page) => {
          for (const row of page) lines.push(csvLine(columns.map(([, of]) => of(row))));
          setCount(lines.length);
        },
      );
      save(
        `${name}.csv`,
        csvOf(
          columns.map(([title]) => title),
          lines,
        ),
      );
      toast(isCut ? t.cut(grouped(MAX_EXPORT_ROWS)) : t.done(grouped(rows)));
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      setCount(null);
    }
  });
  return (
    <>
      <Button icon="download" onClick={() => (count === null ? run() : abort.current?.abort())}>
        {count === null ? common.exportCsv : `${t.running(grouped(count))} ${common.cancel}`}
      </Button>
      {fault === undefined ? null : <FaultNote fault={fault} />}
    </>
  );
}
