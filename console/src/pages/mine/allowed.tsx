import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { roughly } from "../../lib/decimal.ts";
import { duration, grouped } from "../../lib/format.ts";
import { Bar, NEAR_END, Tag } from "../../ui/basics.tsx";
import { Time } from "../../ui/values.tsx";
import { ACCESS } from "../access/texts.ts";
import { amountText, budgetWords } from "../access/words.tsx";
import type { OwnBudget, OwnLimit } from "./own-usage.ts";
import { MINE } from "./texts.ts";

/** Each limit with a bar of what is used of it right now. */
export function Limits({ limits }: { limits: readonly OwnLimit[] }): JSX.Element {
  const t = textsOf(MINE);
  if (limits.length === 0) return <p class="muted">{t.noLimits}</p>;
  return (
    <ul class="meters">
      {limits.map((limit) => (
        <li key={`${limit.kind} ${limit.of}`}>
          <LimitLine limit={limit} />
        </li>
      ))}
    </ul>
  );
}

function LimitLine({
  limit: { kind, scope, of, limit, remaining, resetS },
}: {
  limit: OwnLimit;
}): JSX.Element {
  const t = textsOf(MINE);
  const name = textsOf(ACCESS).limits[kind];
  return (
    <>
      <div class="row apart">
        <span>
          {name}{" "}
          <span class="muted small" title={of}>
            {scope === null ? of : t.scopes[scope]}
          </span>
        </span>
        <span class="nowrap">
          {remaining === null ? t.limitOf(grouped(limit)) : t.limitLeft(grouped(remaining), grouped(limit))}
        </span>
      </div>
      {remaining === null ? (
        <span class="muted small">{t.limitUnknown}</span>
      ) : (
        <Bar share={(limit - remaining) / limit} label={`${name}, ${of}`} />
      )}
      {resetS === null || resetS === 0 ? null : (
        <span class="muted small">{t.whole(duration(Math.ceil(resetS)))}</span>
      )}
    </>
  );
}

/** Each budget with what is spent and left of it. */
export function Budgets({ budgets }: { budgets: readonly OwnBudget[] }): JSX.Element {
  const t = textsOf(MINE);
  if (budgets.length === 0) return <p class="muted">{t.noBudgets}</p>;
  return (
    <ul class="meters">
      {budgets.map((budget) => (
        <li key={budget.id}>
          <BudgetLine budget={budget} />
        </li>
      ))}
    </ul>
  );
}

function BudgetLine({ budget }: { budget: OwnBudget }): JSX.Element {
  const t = textsOf(MINE);
  const access = textsOf(ACCESS);
  const { unit, amount, spent, lifted, left, reserved, warnAt, resetsAt } = budget;
  const words = budgetWords({ ...budget, per_user: false });
  const whole = roughly(amount) + roughly(lifted);
  const share = whole > 0 ? (roughly(spent) + roughly(reserved)) / whole : 1;
  return (
    <>
      <div class="row apart">
        <span>
          {words} {budget.scope === "project" ? <span class="muted small">{access.ofProject}</span> : null}
        </span>
        {roughly(left) <= 0 ? (
          <Tag tone="bad">{access.exhausted}</Tag>
        ) : share >= (warnAt ?? NEAR_END) ? (
          <Tag tone="warn">{access.warned}</Tag>
        ) : null}
      </div>
      <Bar share={share} warnAt={warnAt} label={words} />
      <div class="row apart small muted">
        <span title={`${spent} / ${amount} ${unit}`}>
          {access.spentOf(amountText(spent, unit), amountText(amount, unit))} ·{" "}
          {access.budgetLeft(amountText(left, unit))}
          {roughly(lifted) > 0 ? <> · {access.lifted(amountText(lifted, unit))}</> : null}
          {roughly(reserved) > 0 ? <> · {t.running(amountText(reserved, unit))}</> : null}
        </span>
        {resetsAt === null ? null : (
          <span>
            {t.resets} <Time utc={resetsAt} relative />
          </span>
        )}
      </div>
    </>
  );
}
