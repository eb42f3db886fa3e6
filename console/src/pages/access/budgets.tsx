import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { roughly } from "../../lib/decimal.ts";
import { useResource } from "../../lib/resource.ts";
import { Bar, Button, Tag } from "../../ui/basics.tsx";
import { Loaded, Pager, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { LiftDialog, ResetDialog } from "./budget-dialogs.tsx";
import type { Shares } from "./page-budgets.ts";
import { ACCESS } from "./texts.ts";
import { amountText, budgetWords, sumText } from "./words.tsx";

export type BudgetState = Schemas["BudgetSchema"];

const PAGE_SIZE = 20;

interface BudgetListProps {
  owner: "key" | "project";
  id: number;
  /** Whether that is the project of the key that is looked at. */
  isInherited?: boolean;
  /** Whether others are shown beside these: then nothing is said where there are none. */
  hasOthers?: boolean;
  /** Changes when they may be others. */
  round?: number;
}

/** The budgets of a key or a project, with what is spent; of those that count each user, a row for each. */
export function BudgetList(props: BudgetListProps): JSX.Element {
  const { owner, id, isInherited = false, hasOthers = false, round = 0 } = props;
  const t = textsOf(ACCESS);
  const pages = usePages(`${owner} ${id}`);
  const [asked, setAsked] = useState<{ deed: "lift" | "reset"; budget: BudgetState } | null>(null);
  const budgets = useResource(`${owner} ${id} ${pages.cursor} ${round}`, (signal) => {
    const whose = owner === "key" ? { key_id: id } : { project_id: id };
    const query = { ...whose, limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    return unwrap(admin.GET("/admin/v1/budgets", { params: { query }, signal }));
  });
  const close = (): void => setAsked(null);
  const done = (): void => {
    close();
    budgets.reload();
  };
  return (
    <>
      <Loaded resource={budgets}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            isInherited || hasOthers ? null : (
              <p class="muted">{t.noBudgets}</p>
            )
          ) : (
            <>
              <ul class="meters">
                {data.map((budget) => (
                  <li key={`${budget.id} ${budget.user}`}>
                    <BudgetLine
                      budget={budget}
                      isInherited={isInherited}
                      onAsk={(deed) => setAsked({ deed, budget })}
                    />
                  </li>
                ))}
              </ul>
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          )
        }
      </Loaded>
      {asked?.deed === "lift" ? <LiftDialog budget={asked.budget} onDone={done} onClose={close} /> : null}
      {asked?.deed === "reset" ? <ResetDialog budget={asked.budget} onDone={done} onClose={close} /> : null}
    </>
  );
}

interface BudgetLineProps {
  budget: BudgetState;
  isInherited: boolean;
  onAsk: (deed: "lift" | "reset") => void;
}

function BudgetLine({ budget, isInherited, onAsk }: BudgetLineProps): JSX.Element {
  const t = textsOf(ACCESS);
  const { unit, spent, amount, lifted, left, forgiven, ends_at } = budget;
  const words = budgetWords(budget);
  const whose = budget.user === null ? words : `${words} ${budget.user}`;
  const whole = roughly(amount) + roughly(lifted);
  const isLifted = roughly(lifted) > 0;
  const isExhausted = budget.exhausted_at !== null || left.startsWith("-") || roughly(left) === 0;
  return (
    <>
      <div class="row apart">
        <span>
          {words} {budget.per_user ? <span class="muted small">{budget.user ?? t.unnamedUser}</span> : null}{" "}
          {isInherited ? <span class="muted small">{t.ofProject}</span> : null}
        </span>
        <span class="row tight">
          {isExhausted ? (
            <Tag tone="bad">{t.exhausted}</Tag>
          ) : budget.warned_at !== null ? (
            <Tag tone="warn">{t.warned}</Tag>
          ) : null}
          {mayChange.value ? (
            <>
              <Button look="plain" aria-label={`${t.lift} ${whose}`} onClick={() => onAsk("lift")}>
                {t.lift}
              </Button>
              <Button look="plain" aria-label={`${t.reset} ${whose}`} onClick={() => onAsk("reset")}>
                {t.reset}
              </Button>
            </>
          ) : null}
        </span>
      </div>
      <Bar share={whole > 0 ? roughly(spent) / whole : 1} warnAt={budget.warn_at} label={words} />
      <div class="row apart small muted">
        <span title={`${spent} / ${amount}`}>
          {t.spentOf(sumText(spent, unit), amountText(amount, unit))} · {t.budgetLeft(sumText(left, unit))}
          {isLifted ? <> · {t.lifted(sumText(lifted, unit))}</> : null}
          {roughly(forgiven) > 0 ? <> · {t.forgiven(sumText(forgiven, unit))}</> : null}
        </span>
        {ends_at === null ? null : (
          <span>
            {t.anew.before}
            <Time utc={ends_at} relative />
            {t.anew.after}
          </span>
        )}
      </div>
    </>
  );
}

/** Budgets in a cell: the amounts, and how full they are as far as that is known. */
export function BudgetCell({
  budgets,
  shares,
}: {
  budgets: readonly Schemas["BudgetBrief"][];
  shares: Shares;
}): JSX.Element {
  const t = textsOf(ACCESS);
  const shown = budgets.slice(0, CELL_BUDGETS);
  if (shown.length === 0) return <span class="muted">{t.noneShort}</span>;
  return (
    <ul class="meters cell">
      {shown.map((budget) => {
        const share = shares.get(budget.id);
        return (
          <li key={budget.id}>
            <span class="small nowrap" title={budgetWords(budget)}>
              {t.inPeriod(amountText(budget.amount, budget.unit), t.perPeriod[budget.period])}
            </span>
            {share === undefined ? null : (
              <Bar share={share} warnAt={budget.warn_at} label={budgetWords(budget)} />
            )}
          </li>
        );
      })}
      {budgets.length > CELL_BUDGETS ? (
        <li class="muted small">{t.more(String(budgets.length - CELL_BUDGETS))}</li>
      ) : null}
    </ul>
  );
}

const CELL_BUDGETS = 2;
