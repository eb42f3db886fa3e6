import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { live } from "../../api/live.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { latencyWords, NOTHING } from "../../lib/format.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Page, Section } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Count, Num } from "../../ui/values.tsx";
import { catalogOf } from "./catalog.ts";
import { runningAt, targetNow } from "./health.ts";
import { PriceCell } from "./price.tsx";
import { StateLine } from "./state.tsx";
import { MODELS } from "./texts.ts";
import { Upstreams } from "./upstreams.tsx";
import { modalityWords } from "./words.ts";

type Model = Schemas["ModelSchema"];
type Latencies = ReadonlyMap<string, Schemas["UsageRow"]>;

const PAGE_SIZE = 50;
const DAY_MS = 86_400_000;

export function ModelList(): JSX.Element {
  const t = textsOf(MODELS);
  const pages = usePages("models");
  const models = useResource(String(pages.cursor), (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/models", { params: { query }, signal }));
  });
  const latency = useResource("latency", async (signal): Promise<Latencies> => {
    const since = new Date(gatewayTime() - DAY_MS).toISOString();
    const query = { by: "model", order: "requests" as const, latency: true, limit: MAX_PAGE_ROWS, since };
    const { data } = await unwrap(admin.GET("/admin/v1/usage", { params: { query }, signal }));
    return new Map(data.map((row) => [row.model ?? "", row]));
  });
  const columns = useMemo(() => columnsOf(t, latency.data ?? new Map()), [t, latency.data]);
  return (
    <Page title={textsOf(SHELL).pages.models}>
      <Loaded resource={models}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            <Empty title={t.emptyTitle}>
              <p>{t.empty}</p>
              <Code text="llmgw check && llmgw reload" label={t.emptyTitle} />
            </Empty>
          ) : (
            <Section title={t.list} actions={<span class="muted small">{t.halfAnd95}</span>}>
              <Table
                label={t.list}
                columns={columns}
                rows={data}
                keyOf={(model) => model.id}
                isLoading={models.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </Section>
          )
        }
      </Loaded>
      <Upstreams />
    </Page>
  );
}

function columnsOf(t: typeof MODELS.en, latencies: Latencies): Column<Model>[] {
  const c = t.columns;
  return [
    { name: "model", title: c.model, cell: (model) => <Name of={model} t={t} /> },
    { name: "takes", title: c.takes, cell: ({ catalog }) => modalityWords(catalogOf(catalog).input, t) },
    {
      name: "context",
      title: c.context,
      isNumber: true,
      cell: ({ catalog }) => <Count value={catalogOf(catalog).contextWindow} />,
    },
    {
      name: "thinking",
      title: c.thinking,
      cell: ({ catalog }) => {
        const { thinking, dialect, kind } = catalogOf(catalog);
        if (kind !== "chat") return NOTHING;
        return (
          <span title={thinking === "switch" ? dialect : t.thinkingWhat[thinking]}>
            {t.thinking[thinking]}
          </span>
        );
      },
    },
    {
      name: "input",
      title: <span title={t.million}>{c.input}</span>,
      isNumber: true,
      cell: ({ targets }) => <PriceCell targets={targets} side="input" />,
    },
    {
      name: "output",
      title: <span title={t.million}>{c.output}</span>,
      isNumber: true,
      cell: ({ targets }) => <PriceCell targets={targets} side="output" />,
    },
    { name: "targets", title: c.targets, cell: ({ targets }) => <Targets of={targets} /> },
    {
      name: "running",
      title: c.running,
      isNumber: true,
      cell: ({ targets }) => <Running of={targets} />,
    },
    {
      name: "times",
      title: <span title={t.halfAnd95}>{c.times}</span>,
      isNumber: true,
      cell: ({ id }) => <Times of={latencies.get(id)} t={t} />,
    },
  ];
}

function Times({ of: row, t }: { of: Schemas["UsageRow"] | undefined; t: typeof MODELS.en }): JSX.Element {
  if (row === undefined) return <>{NOTHING}</>;
  const hasFirst = row.first_event_p50_s !== null && row.first_event_p50_s !== undefined;
  return (
    <>
      {hasFirst ? <div>{latencyWords(row.first_event_p50_s, row.first_event_p95_s)}</div> : null}
      <div class="muted small">{t.wholeIn(latencyWords(row.total_p50_s, row.total_p95_s))}</div>
    </>
  );
}

function Name({ of: model, t }: { of: Model; t: typeof MODELS.en }): JSX.Element {
  const { kind, family } = catalogOf(model.catalog);
  const kinds: Record<string, string | undefined> = t.kinds;
  return (
    <>
      <a href={`/console/models/${encodeURIComponent(model.id)}`}>{model.id}</a>
      <div class="muted small">{kind === "chat" ? family : `${family} · ${kinds[kind] ?? kind}`}</div>
    </>
  );
}

/** These two are rendered anew by each look at the gateway; the table around them is not. */
function Targets({ of: targets }: { of: Model["targets"] }): JSX.Element {
  const now = live.value;
  return (
    <div class="targets">
      {targets.map(({ upstream, upstream_model, state }) => (
        <StateLine
          key={`${upstream} ${upstream_model}`}
          now={targetNow(now, upstream, upstream_model)}
          otherwise={state}
          name={upstream}
        />
      ))}
    </div>
  );
}

function Running({ of: targets }: { of: Model["targets"] }): JSX.Element {
  return <Num value={runningAt(live.value, targets)} />;
}
