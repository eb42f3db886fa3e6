import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { isZero } from "../../lib/decimal.ts";
import { type Column, Table } from "../../ui/table.tsx";
import { Money, Num } from "../../ui/values.tsx";
import type { Detail } from "./details.tsx";
import { REQUESTS } from "./texts.ts";

interface Part {
  name: keyof (typeof REQUESTS.en)["details"]["parts"];
  tokens: number | null;
  cost: string | null;
}

/** Tokens of a prompt that were neither read from a cache nor written to one. */
function freshOf({
  prompt_tokens: all,
  cached_tokens: cached,
  cache_write_tokens: written,
}: Detail): number | null {
  // Some providers tell more of a cache than the prompt has; that costs nothing.
  return all === null ? null : Math.max(all - (cached ?? 0) - (written ?? 0), 0);
}

function partsOf(request: Detail): Part[] {
  const { prompt_tokens: prompt, completion_tokens: completion } = request;
  const together = prompt === null && completion === null ? null : (prompt ?? 0) + (completion ?? 0);
  const parts: Part[] = [
    { name: "fresh", tokens: freshOf(request), cost: request.cost_input },
    { name: "cached", tokens: request.cached_tokens, cost: request.cost_cached_input },
    { name: "written", tokens: request.cache_write_tokens, cost: request.cost_cache_write },
    { name: "output", tokens: completion, cost: request.cost_output },
    { name: "reasoning", tokens: request.reasoning_tokens, cost: null },
    { name: "other", tokens: null, cost: request.cost_other },
    { name: "sum", tokens: together, cost: request.cost },
  ];
  const always = new Set(["fresh", "output", "sum"]);
  return parts.filter(
    ({ name, tokens, cost }) => always.has(name) || (tokens ?? 0) > 0 || (cost !== null && !isZero(cost)),
  );
}

/** What it was billed for, part by part. */
export function Usage({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const source = request.usage_source;
  const sources: Record<string, string | undefined> = t.sources;
  const columns: Column<Part>[] = [
    { name: "part", title: t.part, cell: ({ name }) => t.parts[name] },
    { name: "tokens", title: t.tokens, isNumber: true, cell: ({ tokens }) => <Num value={tokens} /> },
    {
      name: "cost",
      title: t.cost,
      isNumber: true,
      cell: ({ cost }) => <Money amount={cost} currency={request.currency} />,
    },
  ];
  return (
    <>
      {source === "none" ? null : (
        <Table label={t.usage} columns={columns} rows={partsOf(request)} keyOf={({ name }) => name} />
      )}
      <p class="muted small">
        {sources[source] ?? source}
        {request.cost === null && source !== "none" ? ` ${t.noPrice}` : null}
      </p>
      {request.price_digest === null || source === "none" ? null : (
        <p class="muted small">
          {t.price}{" "}
          <code title={`${t.priceHint}: ${request.price_digest}`}>{request.price_digest.slice(0, 12)}</code>
        </p>
      )}
    </>
  );
}
