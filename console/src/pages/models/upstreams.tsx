import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped, latencyWords, NOTHING } from "../../lib/format.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, Empty, FaultNote, Section, Tag, type Tone } from "../../ui/basics.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Duration, Num } from "../../ui/values.tsx";
import { accountNow, attemptsAt } from "./health.ts";
import { MODELS } from "./texts.ts";
import { upstreamLimitWords } from "./words.ts";

type Upstream = Schemas["UpstreamSchema"];
type Check = Schemas["CheckSchema"];
type Probe = Schemas["ProbeSchema"];

const PAGE_SIZE = 50;
const TONES: Record<Probe["level"], Tone> = { ok: "good", warning: "warn", fault: "bad" };

/** Where models are asked. */
export function Upstreams(): JSX.Element {
  const t = textsOf(MODELS).upstreams;
  const pages = usePages("upstreams");
  const upstreams = useResource(String(pages.cursor), (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/upstreams", { params: { query }, signal }));
  });
  const [check, setCheck] = useState<Check | null>(null);
  const probing = useAction(async () => {
    setCheck(null);
    setCheck(await unwrap(admin.GET("/admin/v1/check", { params: { query: { probe: true } } })));
  });
  return (
    <Section
      title={t.title}
      actions={
        <Button icon="refresh" title={t.probeWhat} isBusy={probing.isRunning} onClick={probing.run}>
          {t.probe}
        </Button>
      }
    >
      {probing.isRunning ? (
        <p class="muted" role="status">
          {t.probeRunning}
        </p>
      ) : null}
      {probing.fault === undefined ? null : <FaultNote fault={probing.fault} onRetry={probing.run} />}
      {check === null ? null : <ConfigFaults of={check} />}
      <Loaded resource={upstreams}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            <Empty title={t.emptyTitle} />
          ) : (
            <>
              <Table
                label={t.title}
                columns={columnsOf(check?.upstreams ?? null)}
                rows={data}
                keyOf={({ name }) => name}
                isLoading={upstreams.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          )
        }
      </Loaded>
    </Section>
  );
}

/** Upstreams are not asked while the file that names them can't be used. */
function ConfigFaults({ of: check }: { of: Check }): JSX.Element | null {
  const t = textsOf(MODELS).upstreams;
  if (check.faults.length === 0) return null;
  return (
    <div class="note warn">
      {t.configFaults}
      <ul>
        {check.faults.map(({ path, problem, remedy }) => (
          <li key={`${path} ${problem}`}>
            <code>{path}</code> {problem}; {remedy}
          </li>
        ))}
      </ul>
      <a href="/console/system">{t.toSystem}</a>
    </div>
  );
}

function columnsOf(probes: readonly Probe[] | null): Column<Upstream>[] {
  const all = textsOf(MODELS);
  const t = all.upstreams;
  const both = (half: number | null, most: number | null): JSX.Element => (
    <span class="nowrap" title={all.halfAnd95}>
      {latencyWords(half, most)}
    </span>
  );
  return [
    { name: "name", title: t.name, cell: ({ name }) => <strong>{name}</strong> },
    { name: "state", title: t.state, cell: (upstream) => <StateCell of={upstream} /> },
    ...(probes === null ? [] : [probeColumn(probes)]),
    {
      name: "running",
      title: t.running,
      isNumber: true,
      cell: (upstream) => <Running of={upstream} />,
    },
    { name: "attempts", title: t.attempts, isNumber: true, cell: ({ name }) => <Attempts of={name} /> },
    {
      name: "first",
      title: t.first,
      isNumber: true,
      cell: ({ latency }) => both(latency.first_event_p50_s, latency.first_event_p95_s),
    },
    {
      name: "total",
      title: t.total,
      isNumber: true,
      cell: ({ latency }) => both(latency.total_p50_s, latency.total_p95_s),
    },
    { name: "apis", title: t.apis, cell: ({ apis }) => apis.join(all.comma) },
    { name: "limits", title: t.limits, cell: (each) => upstreamLimitWords(each, all).join(" · ") || NOTHING },
    { name: "address", title: t.address, wraps: true, cell: ({ base_url }) => <code>{base_url}</code> },
  ];
}

function probeColumn(probes: readonly Probe[]): Column<Upstream> {
  const t = textsOf(MODELS).upstreams;
  return {
    name: "probe",
    title: t.probed,
    wraps: true,
    cell: ({ name }) => {
      const found = probes.filter(({ upstream }) => upstream === name);
      return found.length === 0 ? NOTHING : found.map((probe) => <Probed of={probe} key={probe.account} />);
    },
  };
}

/** What one account was answered. */
function Probed({ of: probe }: { of: Probe }): JSX.Element {
  const t = textsOf(MODELS).upstreams;
  return (
    <div>
      {probe.account === null ? null : <span class="muted small">#{probe.account} </span>}
      <Tag tone={TONES[probe.level]}>{t.levels[probe.level]}</Tag>{" "}
      <span class="muted small">
        {probe.status} <Duration seconds={probe.elapsed_s} />
      </span>
      {probe.level === "ok" ? null : <div class="small">{probe.text}</div>}
    </div>
  );
}

/** These are rendered anew by each look at the gateway; the table around them is not. */
function StateCell({ of: upstream }: { of: Upstream }): JSX.Element {
  const all = textsOf(MODELS);
  const now = live.value;
  const states = upstream.targets.map(
    (target) => accountNow(now, upstream.name, target.upstream_model, target.account)?.state ?? target.state,
  );
  const up = states.filter((state) => state === "up").length;
  const isKnown = states.some((state) => state !== null);
  const tone = !isKnown ? "" : up === states.length ? "good" : up === 0 ? "bad" : "warn";
  const words =
    isKnown && up < states.length
      ? all.upstreams.upOf(grouped(up), grouped(states.length))
      : isKnown
        ? all.states.up
        : all.unknownState;
  return (
    <span class="state-line">
      <span class={`status-dot ${tone}`} /> {words}
    </span>
  );
}

function Running({ of: upstream }: { of: Upstream }): JSX.Element {
  const targets = live.value?.upstreams.find((each) => each.upstream === upstream.name)?.targets;
  const running = targets?.reduce((before, each) => before + each.in_flight, 0);
  return <Num value={running} />;
}

function Attempts({ of: name }: { of: string }): JSX.Element {
  const t = textsOf(MODELS).upstreams;
  const attempts = attemptsAt(live.value, name);
  if (attempts === null) return <>{NOTHING}</>;
  return (
    <>
      <Num value={attempts.all} />
      {attempts.failed === 0 ? null : <span class="muted"> · {t.failedOf(grouped(attempts.failed))}</span>}
    </>
  );
}
