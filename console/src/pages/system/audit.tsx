import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { localInput, utcOfInput } from "../../lib/local-input.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useQuery } from "../../lib/query.ts";
import { useResource } from "../../lib/resource.ts";
import { useTyped } from "../../lib/typed.ts";
import { Button, Empty, Section, Select, TextField } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { ExportButton } from "../../ui/export.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { changesIn, type Entry, pageOf, pageOfActor } from "./audit-entry.ts";
import { Changes } from "./changes.tsx";
import { SYSTEM } from "./texts.ts";

const PAGE_SIZE = 50;
/** Of the changes of an entry, in the table. */
const SHOWN_CHANGES = 3;
const NO_FILTERS = { action: null, target: null, since: null, until: null };

/** Who changed what, and when. */
export function Audit(): JSX.Element {
  const t = textsOf(SYSTEM).audit;
  const [query, change] = useQuery();
  const [opened, setOpened] = useState<Entry | null>(null);
  const { action, target, since, until } = query;
  const filters = {
    ...(action === undefined ? {} : { action }),
    ...(target === undefined ? {} : { target }),
    ...(since === undefined ? {} : { since }),
    ...(until === undefined ? {} : { until }),
  };
  const filterKey = JSON.stringify(filters);
  const pages = usePages(filterKey);
  const load = (page: { limit: number; cursor?: string }, signal: AbortSignal) =>
    unwrap(admin.GET("/admin/v1/audit", { params: { query: { ...filters, ...page } }, signal }));
  const entries = useResource(`${filterKey} ${pages.cursor}`, (signal) =>
    load({ limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) }, signal),
  );
  return (
    <Section
      title={t.title}
      actions={
        <ExportButton<Entry>
          name="llmgw-audit"
          columns={[
            [t.time, (entry) => entry.time],
            [t.who, (entry) => entry.actor],
            [t.action, (entry) => entry.action],
            [t.target, (entry) => entry.target],
            [t.csv.before, (entry) => JSON.stringify(entry.before)],
            [t.csv.after, (entry) => JSON.stringify(entry.after)],
          ]}
          load={(cursor, signal) =>
            load({ limit: MAX_PAGE_ROWS, ...(cursor === undefined ? {} : { cursor }) }, signal)
          }
        />
      }
    >
      <Filters />
      <Loaded resource={entries}>
        {({ data, next_cursor }) =>
          data.length > 0 ? (
            <>
              <Table
                label={t.list}
                columns={columnsOf(t, setOpened)}
                rows={data}
                keyOf={({ id }) => id}
                chosen={opened?.id ?? null}
                isLoading={entries.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          ) : filterKey === "{}" ? (
            <Empty title={t.none}>
              <p>{t.noneWhat}</p>
            </Empty>
          ) : (
            <Empty title={t.noneFound}>
              <Button onClick={() => change({ ...NO_FILTERS, part: "audit" })}>{t.dropFilters}</Button>
            </Empty>
          )
        }
      </Loaded>
      {opened === null ? null : <Details entry={opened} onClose={() => setOpened(null)} />}
    </Section>
  );
}

const TYPING_MS = 300;

function Filters(): JSX.Element {
  const t = textsOf(SYSTEM).audit;
  const all = textsOf(COMMON).all;
  const [query, change] = useQuery();
  const [target, setTarget] = useTyped("target", TYPING_MS, { part: "audit" });
  const action = query["action"] ?? "";
  const known = Object.entries(t.actions);
  // One of a later gateway can still be looked for.
  const options = action === "" || action in t.actions ? known : [...known, [action, action] as const];
  return (
    <search class="filters">
      <Select
        label={t.action}
        value={action}
        options={[["", all], ...options]}
        onChange={(value) => change({ part: "audit", action: value })}
      />
      <TextField
        label={t.target}
        type="search"
        value={target}
        onInput={setTarget}
        placeholder={t.targetHint}
      />
      <TextField
        label={t.since}
        type="datetime-local"
        value={localInput(query["since"])}
        onInput={(value) => change({ part: "audit", since: utcOfInput(value) }, true)}
      />
      <TextField
        label={t.until}
        type="datetime-local"
        value={localInput(query["until"])}
        onInput={(value) => change({ part: "audit", until: utcOfInput(value) }, true)}
      />
    </search>
  );
}

type Words = typeof SYSTEM.en.audit;

function columnsOf(t: Words, onOpen: (entry: Entry) => void): Column<Entry>[] {
  return [
    {
      name: "action",
      title: t.action,
      cell: (entry) => {
        const what = actionOf(entry, t);
        return (
          <button
            type="button"
            class="link"
            aria-label={t.show(`${what}, ${entry.target}`)}
            title={entry.action}
            onClick={() => onOpen(entry)}
          >
            {what}
          </button>
        );
      },
    },
    { name: "target", title: t.target, cell: ({ target }) => <Linked text={target} href={pageOf(target)} /> },
    {
      name: "what",
      title: t.what,
      wraps: true,
      cell: (entry) => <Changes changes={changesIn(entry)} most={SHOWN_CHANGES} />,
    },
    { name: "who", title: t.who, cell: ({ actor }) => <Linked text={actor} href={pageOfActor(actor)} /> },
    { name: "time", title: t.time, cell: ({ time }) => <Time utc={time} withSeconds /> },
  ];
}

function actionOf({ action }: Entry, t: Words): string {
  return Object.entries(t.actions).find(([name]) => name === action)?.[1] ?? action;
}

function Linked({ text, href }: { text: string; href: string | null }): JSX.Element {
  return href === null ? <span>{text}</span> : <a href={href}>{text}</a>;
}

function Details({ entry, onClose }: { entry: Entry; onClose: () => void }): JSX.Element {
  const t = textsOf(SYSTEM).audit;
  return (
    <Dialog title={t.details} look="drawer" onClose={onClose}>
      <dl class="facts">
        <dt>{t.action}</dt>
        <dd>
          {actionOf(entry, t)} <code class="muted">{entry.action}</code>
        </dd>
        <dt>{t.target}</dt>
        <dd>
          <Linked text={entry.target} href={pageOf(entry.target)} />
        </dd>
        <dt>{t.who}</dt>
        <dd>
          <Linked text={entry.actor} href={pageOfActor(entry.actor)} />
        </dd>
        <dt>{t.time}</dt>
        <dd>
          <Time utc={entry.time} withSeconds />
        </dd>
      </dl>
      <Section title={t.what}>
        <Changes changes={changesIn(entry)} />
      </Section>
    </Dialog>
  );
}
