import type { JSX } from "preact";
import type { Live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Section } from "../../ui/basics.tsx";
import { type Column, Table } from "../../ui/table.tsx";
import { Num } from "../../ui/values.tsx";
import { SYSTEM } from "./texts.ts";

interface Refusal {
  why: string;
  what: string;
  requests: number;
}

/** How the metrics call the refusals of a budget. */
const BUDGET = "budget";

/** Requests that were refused since the gateway was started, and what may be done about it. */
export function Refused({ now }: { now: Live }): JSX.Element {
  const t = textsOf(SYSTEM).refused;
  const all: Refusal[] = [
    ...now.limited.map(({ limit, scope, requests }) => ({
      why: t.limit(limit, scope),
      what: limit === BUDGET ? t.budgetWhat : t.limitWhat,
      requests,
    })),
    ...now.shed.map(({ reason, requests }) => ({ why: t.shed(reason), what: t.shedWhat, requests })),
    ...now.auth_failures.map(({ code, requests }) => ({ why: t.auth(code), what: t.authWhat, requests })),
  ].filter(({ requests }) => requests > 0);
  const columns: Column<Refusal>[] = [
    { name: "why", title: t.why, wraps: true, cell: ({ why }) => why },
    { name: "requests", title: t.requests, isNumber: true, cell: ({ requests }) => <Num value={requests} /> },
    { name: "what", title: t.what, wraps: true, cell: ({ what }) => <span class="muted">{what}</span> },
  ];
  return (
    <Section title={t.title}>
      {all.length === 0 ? (
        <p class="muted">{t.none}</p>
      ) : (
        <Table
          label={t.title}
          columns={columns}
          rows={all.sort((first, second) => second.requests - first.requests)}
          keyOf={({ why }) => why}
        />
      )}
    </Section>
  );
}
