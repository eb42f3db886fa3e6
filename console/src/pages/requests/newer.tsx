import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { between, type Live, live } from "../../api/live.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { Button } from "../../ui/basics.tsx";
import { isFiltered, type Query } from "./filter.ts";
import { REQUESTS } from "./texts.ts";

interface NewerProps {
  /** What was loaded, and the gateway just before. */
  since: { live: Live | null };
  query: Query;
  onLoad: () => void;
}

/** Only of one model, where that is asked for: its counters know no other filter. */
function ofModel(of: Live, model: string | undefined): Live {
  return model === undefined ? of : { ...of, models: of.models.filter((each) => each.model === model) };
}

/** How many requests have ended since the list was loaded, by the gateway's counters: the ledger is not asked. */
export function Newer({ since, query, onLoad }: NewerProps): JSX.Element | null {
  const t = textsOf(REQUESTS);
  const now = live.value;
  const [begin, setBegin] = useState<Live | null>(since.live);
  useEffect(() => setBegin(since.live), [since]);
  // The list may have been there before the gateway was first looked at.
  useEffect(() => {
    if (begin === null && now !== null) setBegin(now);
  }, [begin, now]);
  if (begin === null || now === null || query["until"] !== undefined) return null;
  const { model, time, ...others } = query;
  const count = between(ofModel(begin, model), ofModel(now, model)).requests;
  if (count === 0) return null;
  const words = isFiltered(others) ? t.newerAny : t.newer;
  return (
    <div class="newer">
      <Button icon="refresh" onClick={onLoad}>
        {words(grouped(count))}
      </Button>
    </div>
  );
}
