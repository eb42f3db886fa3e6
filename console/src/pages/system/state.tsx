import type { ComponentChildren, JSX } from "preact";
import { useEffect } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { isConnected } from "../../api/connection.ts";
import { type Live, live } from "../../api/live.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { bytes, duration, grouped, NOTHING, shortened } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Section, Tag } from "../../ui/basics.tsx";
import { type Column, Loaded, Table } from "../../ui/table.tsx";
import { Num, Time } from "../../ui/values.tsx";
import { Refused } from "./refused.tsx";
import { SYSTEM } from "./texts.ts";
import { troublesOf } from "./troubles.ts";

type SystemFacts = Schemas["SystemSchema"];

const REFRESH_MS = 10_000;

/** How the gateway and what it needs are: its processes, database, journal, Redis. */
export function State(): JSX.Element {
  const facts = useResource("system", (signal) => unwrap(admin.GET("/admin/v1/system", { signal })));
  const { reload } = facts;
  // Workers come and go by themselves.
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return <Loaded resource={facts}>{(data) => <Known facts={data} now={live.value} />}</Loaded>;
}

interface KnownProps {
  facts: SystemFacts;
  /** Null: not known yet. */
  now: Live | null;
}

function Known(props: KnownProps): JSX.Element {
  return (
    <>
      <Troubles {...props} />
      <div class="grid system">
        <Process {...props} />
        <div class="stack loose">
          <Ledger {...props} />
          <Redis {...props} />
        </div>
        <Database {...props} />
      </div>
      <Workers {...props} />
      {props.now === null ? null : <Refused now={props.now} />}
    </>
  );
}

function Troubles({ facts, now }: KnownProps): JSX.Element | null {
  const t = textsOf(SYSTEM);
  const troubles = troublesOf(facts, now, t);
  if (troubles.length === 0) {
    if (now === null || !isConnected.value) return null;
    return (
      <p class="untroubled">
        <span class="status-dot good" /> {t.calm}
      </p>
    );
  }
  return (
    <Section title={t.troubles}>
      <ul class="troubles">
        {troubles.map(({ tone, what, remedy }) => (
          <li key={what}>
            <span class={`status-dot ${tone}`} />
            <strong>{what}</strong>
            {remedy === null ? null : <p>{remedy}</p>}
          </li>
        ))}
      </ul>
    </Section>
  );
}

/** Names and values. */
function Facts({
  rows,
}: {
  rows: readonly (readonly [name: string, value: ComponentChildren])[];
}): JSX.Element {
  return (
    <dl class="facts">
      {rows.map(([name, value]) => [
        <dt key={`${name} name`}>{name}</dt>,
        <dd key={`${name} value`}>{value}</dd>,
      ])}
    </dl>
  );
}

function Process({ facts }: KnownProps): JSX.Element {
  const t = textsOf(SYSTEM).process;
  const { started_at, admin: api } = facts;
  const upS = Math.max(0, (gatewayTime() - Date.parse(started_at)) / 1000);
  return (
    <Section title={t.title}>
      <Facts
        rows={[
          [t.version, facts.version],
          [
            t.up,
            <>
              {duration(Math.floor(upS))}{" "}
              <span class="muted">
                <Time utc={started_at} withSeconds />
              </span>
            </>,
          ],
          [t.python, facts.python],
          [t.platform, facts.platform],
          [t.admin, api.own_listener ? t.own : t.shared],
          [t.capture, api.capture ? t.mayCapture : t.mayNotCapture],
          [t.timezone, facts.timezone],
          [t.currencies, facts.currencies.join(", ")],
        ]}
      />
    </Section>
  );
}

function Ledger({ facts, now }: KnownProps): JSX.Element {
  const t = textsOf(SYSTEM).ledger;
  const { folder } = facts.journal;
  const ledger = now?.ledger;
  return (
    <Section title={t.title}>
      <Facts
        rows={[
          [t.queue, ledger === undefined ? NOTHING : t.rows(grouped(ledger.queue_rows))],
          [
            t.journal,
            ledger === undefined
              ? NOTHING
              : t.size(grouped(ledger.journal_rows), bytes(ledger.journal_bytes)),
          ],
          [t.setAside, <Num key="files" value={ledger?.set_aside_files} />],
          [t.dropped, ledger === undefined ? NOTHING : t.rows(grouped(ledger.dropped_rows))],
          [t.folder, folder === null ? t.noJournal : <code>{folder}</code>],
        ]}
      />
    </Section>
  );
}

function Database({ facts: { database }, now }: KnownProps): JSX.Element {
  const t = textsOf(SYSTEM).database;
  const { yes, no } = textsOf(COMMON);
  const { size_bytes, ledger_rows_estimate: rows } = database;
  const health = (purpose: string): ComponentChildren => {
    const found = now?.store.find((each) => each.purpose === purpose);
    return found === undefined ? NOTHING : <Well isWell={found.healthy} good={t.works} bad={t.fails} />;
  };
  return (
    <Section title={t.title}>
      <Facts
        rows={[
          [t.kind, database.kind],
          [t.url, <code key="url">{database.url}</code>],
          [t.reachable, <Well key="reachable" isWell={database.reachable} good={yes} bad={no} />],
          [t.keys, health("keys")],
          [t.ledger, health("ledger")],
          [t.size, size_bytes === null ? NOTHING : bytes(size_bytes)],
          [t.rows, rows === null ? NOTHING : <span title={grouped(rows)}>{t.about(shortened(rows))}</span>],
        ]}
      />
    </Section>
  );
}

function Redis({ facts: { redis }, now }: KnownProps): JSX.Element {
  const t = textsOf(SYSTEM).redis;
  const isUp = now?.redis.limits_up ?? null;
  return (
    <Section title={t.title}>
      <Facts
        rows={[
          [t.cache, redis.cache ? t.inRedis : t.inWorkers],
          [
            t.limits,
            redis.limits ? (
              <>
                {t.inRedis} {isUp === null ? null : <Well isWell={isUp} good={t.up} bad={t.down} />}
              </>
            ) : (
              t.inMachine
            ),
          ],
        ]}
      />
    </Section>
  );
}

function Well({ isWell, good, bad }: { isWell: boolean; good: string; bad: string }): JSX.Element {
  return <Tag tone={isWell ? "good" : "bad"}>{isWell ? good : bad}</Tag>;
}

type Worker = SystemFacts["workers"][number];

function Workers({ facts, now }: KnownProps): JSX.Element {
  const t = textsOf(SYSTEM).workers;
  const state = (worker: Worker): ComponentChildren => {
    if (worker.problem !== null) return <Tag tone="bad">{worker.problem}</Tag>;
    if (worker.generation === null) return <Tag tone="warn">{t.begins}</Tag>;
    if (now === null) return NOTHING;
    const isHeard = now.workers.includes(worker.worker);
    return <Tag tone={isHeard ? "good" : "warn"}>{isHeard ? t.answers : t.silent}</Tag>;
  };
  const columns: Column<Worker>[] = [
    { name: "worker", title: t.pid, cell: ({ worker }) => <span class="mono">{worker}</span> },
    {
      name: "generation",
      title: t.generation,
      cell: ({ generation }) => (generation === null ? NOTHING : t.generationOf(grouped(generation))),
    },
    { name: "state", title: t.state, cell: state },
  ];
  return (
    <Section
      title={t.title}
      actions={
        now === null ? null : (
          <span class="muted small">{t.inFlight(grouped(now.in_flight), grouped(now.waiting))}</span>
        )
      }
    >
      {facts.workers.length === 0 ? (
        <Empty title={t.none}>
          <p>{t.noneWhat}</p>
        </Empty>
      ) : (
        <Table label={t.list} columns={columns} rows={facts.workers} keyOf={({ worker }) => worker} />
      )}
    </Section>
  );
}
