import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useQuery } from "../../lib/query.ts";
import { useResource } from "../../lib/resource.ts";
import { useTyped } from "../../lib/typed.ts";
import { Button, Empty, Select, Tag, TextField } from "../../ui/basics.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { BudgetCell } from "../access/budgets.tsx";
import { useProjectNames } from "../access/facts.ts";
import { type Shares, usePageBudgets } from "../access/page-budgets.ts";
import { ACCESS } from "../access/texts.ts";
import { limitsWords, StateTag } from "../access/words.tsx";
import { nameOf } from "./names.ts";
import { KEYS } from "./texts.ts";

type Key = Schemas["KeySchema"];

const PAGE_SIZE = 50;
const STATES = ["active", "blocked", "project_blocked", "expired", "revoked"] as const;
const KINDS = ["model", "admin", "admin_read"] as const;

interface KeyListProps {
  /** Whose details are shown. */
  chosen: number | null;
  /** Changes when some key may be another than it was. */
  round: number;
  onCreate: () => void;
}

export function KeyList({ chosen, round, onCreate }: KeyListProps): JSX.Element {
  const t = textsOf(KEYS);
  const [query, change] = useQuery();
  const { name, project } = query;
  const state = STATES.find((each) => each === query["state"]);
  const kind = KINDS.find((each) => each === query["kind"]);
  const filters = {
    ...(name === undefined ? {} : { name }),
    ...(project === undefined ? {} : { project }),
    ...(state === undefined ? {} : { state }),
    ...(kind === undefined ? {} : { kind }),
  };
  const filterKey = JSON.stringify(filters);
  const isFiltered = filterKey !== "{}";
  const pages = usePages(filterKey);
  const keys = useResource(`${filterKey} ${pages.cursor} ${round}`, (signal) => {
    const page = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/keys", { params: { query: { ...filters, ...page } }, signal }));
  });
  const shares = usePageBudgets("key", keys.data?.data ?? [], round);
  const search = new URLSearchParams(query).toString();
  // The list has at least the key that is signed in, so it is never empty without filters.
  const isBare = (page: Schemas["KeyPage"]): boolean =>
    !isFiltered && page.next_cursor === null && page.data.every((key) => key.kind !== "model");
  return (
    <>
      <Filters />
      <Loaded resource={keys}>
        {(page) =>
          page.data.length > 0 ? (
            <>
              <Table
                label={t.list}
                columns={columnsOf(search, shares)}
                rows={page.data}
                keyOf={(key) => key.id}
                chosen={chosen}
                isLoading={keys.isLoading}
              />
              <Pager pages={pages} nextCursor={page.next_cursor} />
              {isBare(page) ? <NoModelKey onCreate={onCreate} /> : null}
            </>
          ) : (
            <Empty title={t.noneFound}>
              <p>{t.noneFoundWhat}</p>
              <Button onClick={() => change({ name: null, project: null, state: null, kind: null })}>
                {t.dropFilters}
              </Button>
            </Empty>
          )
        }
      </Loaded>
    </>
  );
}

/** Nobody can ask a model yet. */
function NoModelKey({ onCreate }: { onCreate: () => void }): JSX.Element {
  const t = textsOf(KEYS);
  return (
    <Empty title={t.empty}>
      <p>{mayChange.value ? t.emptyWhat : t.emptyReadOnly}</p>
      {mayChange.value ? (
        <Button icon="plus" onClick={onCreate}>
          {t.create}
        </Button>
      ) : null}
    </Empty>
  );
}

const TYPING_MS = 250;

function Filters(): JSX.Element {
  const t = textsOf(KEYS);
  const access = textsOf(ACCESS);
  const all = textsOf(COMMON).all;
  const [query, change] = useQuery();
  const projects = useProjectNames().data;
  const [name, setName] = useTyped("name", TYPING_MS);
  const project = query["project"] ?? "";
  const names = [...new Set([...(projects?.names ?? []), ...(project === "" ? [] : [project])])];
  return (
    <search class="filters">
      <TextField label={t.search} type="search" value={name} onInput={setName} />
      <Select
        label={t.project}
        value={project}
        options={[["", all], ...names.map((each): [string, string] => [each, each])]}
        onChange={(value) => change({ project: value })}
      />
      <Select
        label={t.state}
        value={STATES.find((each) => each === query["state"]) ?? ""}
        options={[["", all], ...STATES.map((each) => [each, access.states[each]] as const)]}
        onChange={(value) => change({ state: value })}
      />
      <Select
        label={t.kind}
        value={KINDS.find((each) => each === query["kind"]) ?? ""}
        options={[["", all], ...KINDS.map((each) => [each, access.kinds[each]] as const)]}
        onChange={(value) => change({ kind: value })}
      />
    </search>
  );
}

/** `search`: the filters, which stay when a key is opened. */
function columnsOf(search: string, shares: Shares): readonly Column<Key>[] {
  const t = textsOf(KEYS);
  const titles = t.columns;
  const access = textsOf(ACCESS);
  return [
    {
      name: "name",
      title: titles.name,
      cell: (key) => (
        <span class="key-name">
          <a href={`/console/keys/${key.id}${search === "" ? "" : `?${search}`}`}>{nameOf(key)}</a>
          <span class="muted small mono">{key.prefix}…</span>
        </span>
      ),
    },
    {
      name: "state",
      title: titles.state,
      cell: (key) => (
        <span class="tags">
          <StateTag state={key.state} />
          {key.kind === "model" ? null : <Tag tone="accent">{access.kinds[key.kind]}</Tag>}
        </span>
      ),
    },
    {
      name: "project",
      title: titles.project,
      cell: (key) => <a href={`/console/projects/${key.project_id}`}>{key.project}</a>,
    },
    { name: "models", title: titles.models, cell: (key) => <ModelsCell of={key} /> },
    { name: "limits", title: titles.limits, cell: (key) => <LimitsCell of={key} /> },
    {
      name: "budgets",
      title: titles.budgets,
      cell: (key) => <BudgetCell budgets={key.budgets} shares={shares} />,
    },
    {
      name: "expires",
      title: titles.expires,
      cell: (key) =>
        key.expires_at === null ? (
          <span class="muted">{t.never}</span>
        ) : (
          <Time utc={key.expires_at} relative />
        ),
    },
    {
      name: "owner",
      title: titles.owner,
      cell: (key) => key.owner ?? <span class="muted">{access.noneShort}</span>,
    },
  ];
}

const FEW_MODELS = 2;

function ModelsCell({ of: { kind, models } }: { of: Key }): JSX.Element {
  const t = textsOf(KEYS);
  if (kind !== "model") return <span class="muted">{textsOf(ACCESS).noneShort}</span>;
  if (models === null) return <span class="muted">{t.allModels}</span>;
  if (models.length <= FEW_MODELS) return <>{models.join(", ")}</>;
  return <span title={models.join(", ")}>{t.someModels(grouped(models.length))}</span>;
}

function LimitsCell({ of: { limits, limits_by } }: { of: Key }): JSX.Element {
  const t = textsOf(KEYS);
  const words = limitsWords(limits);
  const more = limits_by.length;
  if (words === "" && more === 0) return <span class="muted">{textsOf(ACCESS).noneShort}</span>;
  return (
    <span class="small">
      {words}{" "}
      {more === 0 ? null : <span title={t.byMore(grouped(more))}>{textsOf(ACCESS).more(String(more))}</span>}
    </span>
  );
}
