import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import type { Counters } from "../../lib/counters.ts";
import { added as addedAmounts } from "../../lib/decimal.ts";
import { latencyWords, percent, shortened } from "../../lib/format.ts";
import { Stat } from "../../ui/facts.tsx";
import { Costs, Count, Num } from "../../ui/values.tsx";
import type { UsageRow } from "./data.ts";
import { OVERVIEW } from "./texts.ts";

/** What a time came to: its sums, and what was counted since they were read. */
export function Totals({ all, added }: { all: UsageRow; added: Counters }): JSX.Element {
  const t = textsOf(OVERVIEW);
  const requests = all.requests + added.requests;
  const errors = all.errors + added.errors;
  const prompt = all.prompt_tokens + added.prompt_tokens;
  const completion = all.completion_tokens + added.completion_tokens;
  return (
    <dl class="stats">
      <Stat name={t.requests} value={<Num value={requests} />} />
      <Stat
        name={t.tokens}
        value={<Count value={prompt + completion} />}
        more={t.inOut(shortened(prompt), shortened(completion))}
      />
      <Stat
        name={t.cost}
        value={<Costs costs={addedAmounts(all.costs, added.costs)} />}
        more={all.unpriced > 0 ? t.unpriced(shortened(all.unpriced)) : undefined}
      />
      <Stat name={t.errors} value={<Num value={errors} />} more={t.ofRequests(percent(errors / requests))} />
      <Stat
        name={t.firstEvent}
        value={latencyWords(all.first_event_p50_s, all.first_event_p95_s)}
        more={t.halfAnd95}
      />
      <Stat name={t.totalTime} value={latencyWords(all.total_p50_s, all.total_p95_s)} more={t.halfAnd95} />
    </dl>
  );
}
