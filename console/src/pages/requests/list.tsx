import type { JSX } from "preact";
import { useRef } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { type Live, live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { useQuery } from "../../lib/query.ts";
import { useResource } from "../../lib/resource.ts";
import { Button, Empty } from "../../ui/basics.tsx";
import { Loaded, Pager, type Pages, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { columnsOf } from "./columns.tsx";
import { FILTER_NAMES, filterKeyOf, filterOf, isFiltered } from "./filter.ts";
import { Newer } from "./newer.tsx";
import { REQUESTS } from "./texts.ts";

const PAGE_SIZE = 50;

export interface ShownPage {
  data: Schemas["RequestRow"][];
  next_cursor: string | null;
  scanned_until: string | null;
  /** The gateway just before. */
  live: Live | null;
}

interface ListProps {
  /** Whose details are shown. */
  chosen: string | null;
  pathOf: (id: string) => string;
}

export function RequestList({ chosen, pathOf }: ListProps): JSX.Element {
  const t = textsOf(REQUESTS);
  const [query] = useQuery();
  const key = filterKeyOf(query);
  const pages = usePages(key);
  // The pages of one list count "the last hour" back from one moment.
  const begun = useRef({ key: "", at: 0 });
  const page = useResource(`${key} ${pages.cursor}`, async (signal): Promise<ShownPage> => {
    if (pages.cursor === null || begun.current.key !== key) begun.current = { key, at: gatewayTime() };
    const before = live.peek();
    const place = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    const asked = { ...filterOf(query, begun.current.at), ...place };
    const answer = await unwrap(admin.GET("/admin/v1/requests", { params: { query: asked }, signal }));
    return { ...answer, live: before };
  });
  return (
    <Loaded resource={page}>
      {(shown) => (
        <>
          {pages.number === 1 ? <Newer since={shown} query={query} onLoad={page.reload} /> : null}
          {shown.data.length === 0 ? (
            <NoRows shown={shown} pages={pages} />
          ) : (
            <div class="dense">
              <Table
                label={t.list}
                columns={columnsOf(t, pathOf)}
                rows={shown.data}
                keyOf={(row) => row.request_id}
                chosen={chosen}
                isLoading={page.isLoading}
              />
            </div>
          )}
          {shown.data.length > 0 && shown.data.length < PAGE_SIZE ? (
            <SoFar shown={shown} pages={pages} />
          ) : null}
          <Pager pages={pages} nextCursor={shown.next_cursor} />
        </>
      )}
    </Loaded>
  );
}

function NoRows({ shown, pages }: { shown: ShownPage; pages: Pages }): JSX.Element {
  const t = textsOf(REQUESTS);
  const [query, change] = useQuery();
  if (shown.next_cursor !== null) {
    return (
      <Empty title={t.searchedTitle}>
        <SoFar shown={shown} pages={pages} />
      </Empty>
    );
  }
  if (isFiltered(query) || pages.number > 1) {
    return (
      <Empty title={t.noneTitle}>
        <p>{t.noneBefore}</p>
        <Button onClick={() => change(Object.fromEntries(FILTER_NAMES.map((name) => [name, null])))}>
          {t.dropFilters}
        </Button>
      </Empty>
    );
  }
  return (
    <Empty title={t.emptyTitle}>
      <p>{t.empty}</p>
      <a href="/console/playground">{t.toPlayground}</a>
    </Empty>
  );
}

/** How far a search has come that has not looked at everything. */
function SoFar({ shown, pages }: { shown: ShownPage; pages: Pages }): JSX.Element | null {
  const t = textsOf(REQUESTS);
  const { next_cursor, scanned_until } = shown;
  if (next_cursor === null) return null;
  return (
    <div class="so-far" role="status">
      <span>
        {t.searched} <Time utc={scanned_until} withSeconds />
      </span>
      <span class="muted small">{t.searchedMore}</span>
      <Button icon="search" onClick={() => pages.next(next_cursor)}>
        {t.goOn}
      </Button>
    </div>
  );
}
