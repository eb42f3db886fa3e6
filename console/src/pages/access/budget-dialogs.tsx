import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useAction } from "../../lib/resource.ts";
import { Button, FaultNote, TextField } from "../../ui/basics.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { toast } from "../../ui/toast.tsx";
import { bare, isAmount } from "./rules-draft.ts";
import { ACCESS } from "./texts.ts";
import { amountText, budgetWords } from "./words.tsx";

interface DeedProps {
  budget: Schemas["BudgetSchema"];
  onDone: () => void;
  onClose: () => void;
}

/** More for the current window. */
export function LiftDialog({ budget, onDone, onClose }: DeedProps): JSX.Element {
  const t = textsOf(ACCESS);
  const common = textsOf(COMMON);
  const [typed, setTyped] = useState("");
  const amount = bare(typed);
  const isGood = isAmount(amount);
  const { run, isRunning, fault } = useAction(async () => {
    const body = { amount, ...(budget.user === null ? {} : { user: budget.user }) };
    const path = { budget_id: budget.id };
    await unwrap(admin.POST("/admin/v1/budgets/{budget_id}/lift", { params: { path }, body }));
    toast(t.liftDone);
    onDone();
  });
  return (
    <Dialog title={t.liftTitle} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (isGood) run();
        }}
      >
        <p>
          {t.liftWords(budgetWords(budget))} {budget.user}
        </p>
        <TextField
          label={t.liftAmount}
          value={typed}
          onInput={setTyped}
          isNumber
          hint={isGood ? t.form.inWords(amountText(amount, budget.unit)) : budget.unit}
          wrong={amount === "" || isGood ? undefined : t.wrong.amount}
        />
        {fault === undefined ? null : <FaultNote fault={fault} />}
        <div class="row end">
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" look="primary" isBusy={isRunning} disabled={!isGood}>
            {t.liftDeed}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}

/** What was spent in the current window counts no more. */
export function ResetDialog({ budget, onDone, onClose }: DeedProps): JSX.Element {
  const t = textsOf(ACCESS);
  // The API takes no name for the part of those who name no user: it resets all parts then.
  const isOfAll = budget.per_user && budget.user === null;
  const { run, isRunning, fault } = useAction(async () => {
    const body = budget.user === null ? {} : { user: budget.user };
    const path = { budget_id: budget.id };
    await unwrap(admin.POST("/admin/v1/budgets/{budget_id}/reset", { params: { path }, body }));
    toast(t.resetDone);
    onDone();
  });
  return (
    <Confirm title={t.resetTitle} deed={t.resetDeed} isBusy={isRunning} onConfirm={run} onClose={onClose}>
      <p>
        <strong>{budgetWords(budget)}</strong> {budget.user}
      </p>
      <p>{isOfAll ? t.resetAllWords : t.resetWords(amountText(budget.spent, budget.unit))}</p>
      {fault === undefined ? null : <FaultNote fault={fault} />}
    </Confirm>
  );
}
