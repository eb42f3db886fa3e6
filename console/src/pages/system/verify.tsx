import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useAction } from "../../lib/resource.ts";
import { Button, FaultNote, Section } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { type Column, Table } from "../../ui/table.tsx";
import { Num, Time } from "../../ui/values.tsx";
import { amountText } from "../access/words.tsx";
import { SYSTEM } from "./texts.ts";

type Report = Schemas["ReportSchema"];

const REPAIR = "llmgw budgets verify --repair";

/** Whether sums and budgets agree with the rows of the ledger; asked for, because it reads all of them. */
export function Verify(): JSX.Element {
  const t = textsOf(SYSTEM).limits;
  const [report, setReport] = useState<Report | null>(null);
  const { run, isRunning, fault } = useAction(async () => {
    setReport(await unwrap(admin.GET("/admin/v1/budgets/verify")));
  });
  return (
    <Section
      title={t.verify}
      actions={
        <Button isBusy={isRunning} onClick={() => run()}>
          {t.verifyDeed}
        </Button>
      }
    >
      <p class="muted">{t.verifyWhat}</p>
      {fault === undefined ? null : <FaultNote fault={fault} onRetry={() => run()} />}
      <div role="status">{report === null || isRunning ? null : <Found report={report} />}</div>
    </Section>
  );
}

function Found({ report }: { report: Report }): JSX.Element {
  const t = textsOf(SYSTEM).limits;
  const { window_differences: windows, hour_differences: hours, day_differences: days } = report;
  if (report.is_right) {
    return <p class="note">{t.right(grouped(report.windows), grouped(report.hours))}</p>;
  }
  return (
    <div class="stack">
      <p class="note warn">
        {t.wrong(grouped(windows.length), grouped(hours.length), grouped(days.length))} {t.wrongWhat}
      </p>
      <Code text={REPAIR} label={REPAIR} />
      <Windows rows={windows} />
      <Hours rows={hours} />
    </div>
  );
}

function Windows({ rows }: { rows: Report["window_differences"] }): JSX.Element | null {
  const t = textsOf(SYSTEM).limits;
  if (rows.length === 0) return null;
  const columns: Column<(typeof rows)[number]>[] = [
    { name: "budget", title: t.budget, cell: (row) => `${row.budget_id}${row.user ? ` · ${row.user}` : ""}` },
    { name: "starts", title: t.starts, cell: (row) => <Time utc={row.starts_at} /> },
    { name: "spent", title: t.spent, isNumber: true, cell: (row) => amountText(row.spent, row.unit) },
    { name: "due", title: t.due, isNumber: true, cell: (row) => amountText(row.due, row.unit) },
  ];
  return (
    <Table
      label={t.windowsTitle}
      columns={columns}
      rows={rows}
      keyOf={(row) => `${row.budget_id} ${row.user} ${row.starts_at}`}
    />
  );
}

function Hours({ rows }: { rows: Report["hour_differences"] }): JSX.Element | null {
  const t = textsOf(SYSTEM).limits;
  const { yes, no } = textsOf(COMMON);
  if (rows.length === 0) return null;
  const columns: Column<(typeof rows)[number]>[] = [
    { name: "hour", title: t.hour, cell: (row) => <Time utc={row.hour} /> },
    { name: "sums", title: t.sums, isNumber: true, cell: (row) => <Num value={row.sums.requests} /> },
    { name: "rows", title: t.rows, isNumber: true, cell: (row) => <Num value={row.rows.requests} /> },
    { name: "repairable", title: t.repairable, cell: (row) => (row.can_be_repaired ? yes : no) },
  ];
  return <Table label={t.hoursTitle} columns={columns} rows={rows} keyOf={(row) => row.hour} />;
}
