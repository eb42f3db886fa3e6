import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { live } from "../../api/live.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { accountName } from "../../lib/accounts.ts";
import { failureOf } from "../../lib/failures.ts";
import { duration, NOTHING } from "../../lib/format.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Section } from "../../ui/basics.tsx";
import { FailureText } from "../../ui/failure.tsx";
import { IconButton } from "../../ui/icon-button.tsx";
import { type Column, Loaded, Table } from "../../ui/table.tsx";
import { Duration, Num } from "../../ui/values.tsx";
import { targetNow } from "./health.ts";
import { StateLine } from "./state.tsx";
import { MODELS } from "./texts.ts";

type Target = Schemas["TargetSchema"];

type WorkerRow = Schemas["WorkerHealth"] & { target: string };

const nameOf = ({ upstream, upstream_model }: Target): string => `${upstream} · ${upstream_model}`;

/** Where the model is asked: how it is now, and what each worker thinks of it. */
export function Targets({ of: targets }: { of: readonly Target[] }): JSX.Element {
  const t = textsOf(MODELS).details;
  const columns: readonly Column<Target>[] = [
    { name: "target", title: t.target, cell: nameOf },
    { name: "priority", title: t.priority, isNumber: true, cell: ({ priority }) => <Num value={priority} /> },
    { name: "weight", title: t.weight, isNumber: true, cell: ({ weight }) => <Num value={weight} /> },
    { name: "state", title: t.state, cell: (target) => <StateCell of={target} /> },
    { name: "running", title: t.running, isNumber: true, cell: (target) => <Running of={target} /> },
    { name: "failure", title: t.lastFailure, wraps: true, cell: (target) => <LastFailure of={target} /> },
  ];
  return (
    <>
      <Section title={t.targets} actions={<span class="muted small">{t.targetsWhat}</span>}>
        <Table label={t.targets} columns={columns} rows={targets} keyOf={nameOf} />
      </Section>
      <Workers of={targets} />
    </>
  );
}

function StateCell({ of: target }: { of: Target }): JSX.Element {
  const now = targetNow(live.value, target.upstream, target.upstream_model);
  return <StateLine now={now} otherwise={target.state} />;
}

function Running({ of: target }: { of: Target }): JSX.Element {
  return <Num value={targetNow(live.value, target.upstream, target.upstream_model)?.in_flight} />;
}

function LastFailure({ of: target }: { of: Target }): JSX.Element {
  const now = targetNow(live.value, target.upstream, target.upstream_model);
  if (now === null) return <>{NOTHING}</>;
  return <FailureCell text={now.last_failure ?? null} agoS={now.last_failure_s ?? null} />;
}

function FailureCell({ text, agoS }: { text: string | null; agoS: number | null }): JSX.Element {
  const t = textsOf(MODELS).details;
  if (text === null) return <span class="muted">{t.noFailure}</span>;
  return (
    <>
      <FailureText of={failureOf(text)} />
      {agoS === null ? null : <span class="muted small"> {t.ago(duration(agoS))}</span>}
    </>
  );
}

/** Health is each worker's own: this asks them, once. */
function Workers({ of: targets }: { of: readonly Target[] }): JSX.Element {
  const t = textsOf(MODELS).details;
  const common = textsOf(COMMON);
  const upstreams = useResource("workers", (signal) =>
    unwrap(admin.GET("/admin/v1/upstreams", { params: { query: { limit: MAX_PAGE_ROWS } }, signal })),
  );
  const columns: readonly Column<WorkerRow>[] = [
    { name: "worker", title: t.worker, cell: ({ worker }) => String(worker) },
    { name: "target", title: t.target, cell: ({ target }) => target },
    {
      name: "state",
      title: t.state,
      cell: ({ state }) => <StateLine now={null} otherwise={state} />,
    },
    {
      name: "failures",
      title: t.failures,
      isNumber: true,
      cell: (row) => <Num value={row.consecutive_failures} />,
    },
    {
      name: "cooling",
      title: t.cooling,
      isNumber: true,
      cell: ({ cooling_s }) => <Duration seconds={cooling_s > 0 ? cooling_s : null} />,
    },
    { name: "running", title: t.running, isNumber: true, cell: (row) => <Num value={row.in_flight} /> },
    {
      name: "failure",
      title: t.lastFailure,
      wraps: true,
      cell: (row) => <FailureCell text={row.last_failure ?? null} agoS={row.last_failure_s ?? null} />,
    },
  ];
  return (
    <Section
      title={t.workers}
      actions={
        <>
          <span class="muted small">{t.workersWhat}</span>
          <IconButton
            icon="refresh"
            label={common.reload}
            isBusy={upstreams.isLoading}
            onClick={upstreams.reload}
          />
        </>
      }
    >
      <Loaded resource={upstreams}>
        {({ data }) => {
          const rows = targets.flatMap((target): WorkerRow[] => {
            const upstream = data.find(({ name }) => name === target.upstream);
            const there = upstream?.targets.filter((each) => each.upstream_model === target.upstream_model);
            return (there ?? []).flatMap(({ account, workers }) => {
              const name = nameOf({ ...target, upstream: accountName(target.upstream, account) });
              return workers.map((worker) => ({ ...worker, target: name }));
            });
          });
          return rows.length === 0 ? (
            <p class="muted">{t.noWorkers}</p>
          ) : (
            <Table
              label={t.workers}
              columns={columns}
              rows={rows}
              keyOf={({ worker, target }) => `${worker} ${target}`}
            />
          );
        }}
      </Loaded>
    </Section>
  );
}
