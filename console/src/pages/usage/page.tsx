import type { JSX } from "preact";
import { useCallback, useMemo } from "preact/hooks";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useQuery } from "../../lib/query.ts";
import { Checkbox, Page } from "../../ui/basics.tsx";
import { Filter } from "./filter.tsx";
import { Plot } from "./plot.tsx";
import { DIMENSIONS, type Dimension, questionOf, type UsageRow } from "./question.ts";
import { Sums } from "./sums.tsx";
import { USAGE } from "./texts.ts";

/** Sums by any grouping over any time. */
export default function Usage(): JSX.Element {
  const t = textsOf(USAGE);
  const [query, change] = useQuery();
  const text = JSON.stringify(query);
  const question = useMemo(() => questionOf(JSON.parse(text)), [text]);
  const nameIn = useCallback(
    (row: UsageRow, dimension: Dimension): string => {
      if (dimension !== "key" && dimension !== "project") return row[dimension] ?? t.nobody;
      const named = row[dimension];
      if (named === null || named === undefined) return t.nobody;
      return named.name === "" ? t.gone(String(named.id)) : named.name;
    },
    [t],
  );
  const { by } = question;
  const nameOf = useCallback(
    (row: UsageRow): string => by.map((dimension) => nameIn(row, dimension)).join(" · "),
    [by, nameIn],
  );
  const toggle = (dimension: Dimension, isOn: boolean): void => {
    const chosen = DIMENSIONS.filter((each) => (each === dimension ? isOn : by.includes(each)));
    change({ by: chosen.length === 0 ? "all" : chosen.join(",") });
  };
  return (
    <Page title={textsOf(SHELL).pages.usage}>
      <Filter question={question} change={change} />
      {/* biome-ignore lint/a11y/useSemanticElements: a fieldset can't be laid out in a line */}
      <div class="row" role="group" aria-label={t.by}>
        <span class="muted">{t.by}</span>
        {DIMENSIONS.map((dimension) => (
          <Checkbox
            key={dimension}
            label={t.dimensions[dimension]}
            checked={by.includes(dimension)}
            onChange={(isOn) => toggle(dimension, isOn)}
          />
        ))}
      </div>
      <Plot question={question} nameOf={nameOf} onMeasure={(measure) => change({ measure })} />
      <Sums question={question} nameIn={nameIn} onOrder={(measure) => change({ measure })} />
    </Page>
  );
}
