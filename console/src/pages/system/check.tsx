import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { duration } from "../../lib/format.ts";
import { useAction } from "../../lib/resource.ts";
import { Button, Empty, FaultNote, Section, Tag, type Tone } from "../../ui/basics.tsx";
import { type Column, Table } from "../../ui/table.tsx";
import { SYSTEM } from "./texts.ts";

export type Check = Schemas["CheckSchema"];
type Fault = Schemas["ConfigFault"];
type Probe = Schemas["ProbeSchema"];

export function loadCheck(signal: AbortSignal): Promise<Check> {
  return unwrap(admin.GET("/admin/v1/check", { signal }));
}

/** Whether a reload would take the file over. */
export function isTaken({ faults, needs_restart }: Check): boolean {
  return faults.length === 0 && needs_restart.length === 0;
}

/** What is wrong with the file, each with its place and its remedy. */
export function CheckFaults({ check: { faults, needs_restart } }: { check: Check }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  return (
    <>
      {faults.length === 0 ? null : (
        <>
          <p class="note warn">{t.faultsWhat}</p>
          <FaultTable label={t.faults} faults={faults} />
        </>
      )}
      {needs_restart.length === 0 ? null : (
        <>
          <p class="note warn">{t.restartsWhat}</p>
          <FaultTable label={t.restarts} faults={needs_restart} />
        </>
      )}
    </>
  );
}

function FaultTable({ label, faults }: { label: string; faults: readonly Fault[] }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const columns: Column<Fault>[] = [
    {
      name: "path",
      title: t.path,
      wraps: true,
      cell: ({ path }) => (path === "" ? t.whole : <code>{path}</code>),
    },
    { name: "problem", title: t.problem, wraps: true, cell: ({ problem }) => problem },
    { name: "remedy", title: t.remedy, wraps: true, cell: ({ remedy }) => remedy },
  ];
  return (
    <Table
      label={label}
      columns={columns}
      rows={faults}
      keyOf={({ path, problem }) => `${path} ${problem}`}
    />
  );
}

/** The words of a probe that found nothing to tell. */
const SAYS_NOTHING = "ok";
const TONES: Record<Probe["level"], Tone> = { ok: "good", warning: "warn", fault: "bad" };

/** Asks each upstream of the file whether it is there; that takes some seconds. */
export function Probes(): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const [check, setCheck] = useState<Check | null>(null);
  const { run, isRunning, fault } = useAction(async () => {
    setCheck(await unwrap(admin.GET("/admin/v1/check", { params: { query: { probe: true } } })));
  });
  return (
    <Section
      title={t.probeTitle}
      actions={
        <Button isBusy={isRunning} onClick={() => run()}>
          {t.probe}
        </Button>
      }
    >
      <div role="status">{isRunning ? <Progress /> : null}</div>
      {fault === undefined ? null : <FaultNote fault={fault} onRetry={() => run()} />}
      {check === null || isRunning ? null : check.upstreams === null ? (
        <CheckFaults check={check} />
      ) : (
        <ProbeTable probes={check.upstreams} />
      )}
    </Section>
  );
}

/** How long it takes already: nobody knows when the slowest answers. */
function Progress(): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = setInterval(() => setSeconds((before) => before + 1), 1000);
    return () => clearInterval(timer);
  }, []);
  return <span class="muted">{t.probing(String(seconds))}</span>;
}

function ProbeTable({ probes }: { probes: readonly Probe[] }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  if (probes.length === 0) return <Empty title={t.noUpstreams} />;
  const columns: Column<Probe>[] = [
    { name: "upstream", title: t.upstream, cell: ({ upstream }) => upstream },
    {
      name: "level",
      title: t.found,
      wraps: true,
      cell: ({ level, text }) => (
        <>
          <Tag tone={TONES[level]}>{t.levels[level]}</Tag> {text === SAYS_NOTHING ? null : text}
        </>
      ),
    },
    { name: "status", title: t.status, isNumber: true, cell: ({ status }) => status ?? t.noAnswer },
    { name: "took", title: t.took, isNumber: true, cell: ({ elapsed_s }) => duration(elapsed_s) },
    { name: "url", title: t.url, wraps: true, cell: ({ url }) => <code>{url}</code> },
  ];
  return <Table label={t.probeTitle} columns={columns} rows={probes} keyOf={({ upstream }) => upstream} />;
}
