import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import type { Cell } from "../../lib/csv.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useQuery } from "../../lib/query.ts";
import { ExportButton } from "../../ui/export.tsx";
import { filterKeyOf, filterOf } from "./filter.ts";

type Row = Schemas["RequestRow"];

/** As the API calls them, so that a file can be compared with its answers. */
const NAMES = [
  "time",
  "request_id",
  "status",
  "error_kind",
  "model",
  "upstream",
  "api",
  "stream",
  "finish_reason",
  "key_id",
  "key_name",
  "project_id",
  "project_name",
  "user",
  "attempts",
  "attempt_errors",
  "first_event_s",
  "total_s",
  "prompt_tokens",
  "cached_tokens",
  "cache_write_tokens",
  "completion_tokens",
  "reasoning_tokens",
  "usage_source",
  "thinking_asked",
  "thinking_sent",
  "thinking_observed",
  "cost",
  "cost_input",
  "cost_cached_input",
  "cost_cache_write",
  "cost_output",
  "cost_other",
  "currency",
  "price_digest",
] as const satisfies readonly (keyof Row)[];

const COLUMNS = NAMES.map((name) => [name, (row: Row): Cell => row[name]] as const);

/** All rows that the filter finds, as CSV. */
export function RequestExport(): JSX.Element {
  const [query] = useQuery();
  let since = 0;
  return (
    <ExportButton<Row>
      key={filterKeyOf(query)}
      name={`llmgw-requests-${new Date(gatewayTime()).toISOString().slice(0, 10)}`}
      columns={COLUMNS}
      load={(cursor, signal) => {
        // All pages count back from the same moment.
        if (cursor === undefined) since = gatewayTime();
        const filter = { ...filterOf(query, since), limit: MAX_PAGE_ROWS };
        const asked = cursor === undefined ? filter : { ...filter, cursor };
        return unwrap(admin.GET("/admin/v1/requests", { params: { query: asked }, signal }));
      }}
    />
  );
}
