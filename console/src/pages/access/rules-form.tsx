import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { Button, Checkbox, Select, TextField } from "../../ui/basics.tsx";
import type { WrongOf } from "./form-faults.tsx";
import {
  type BudgetDraft,
  bare,
  emptyBudget,
  emptyLimitsBy,
  isAmount,
  LIMIT_NAMES,
  type LimitsByDraft,
  type LimitTexts,
  PERIODS,
  type RulesDraft,
  TOKENS,
} from "./rules-draft.ts";
import { ACCESS } from "./texts.ts";
import { budgetWords } from "./words.tsx";

interface RulesFormProps {
  draft: RulesDraft;
  onChange: (draft: RulesDraft) => void;
  wrongOf: WrongOf;
  /** What a limit or budget may be of. */
  models: readonly string[];
  currency: string;
}

/** Limits and budgets of a key or a project. */
export function RulesForm({ draft, onChange, wrongOf, models, currency }: RulesFormProps): JSX.Element {
  const t = textsOf(ACCESS).form;
  const { limits, limitsBy, budgets } = draft;
  const put = (changes: Partial<RulesDraft>): void => onChange({ ...draft, ...changes });
  return (
    <>
      <fieldset class="part">
        <legend>{t.limits}</legend>
        <p class="muted small">{t.limitsHint}</p>
        <LimitFields
          limits={limits}
          path="limits"
          wrongOf={wrongOf}
          onChange={(changed) => put({ limits: changed })}
        />
        {limitsBy.map((each, index) => (
          <LimitsByRow
            key={index}
            number={index}
            draft={each}
            models={models}
            wrongOf={wrongOf}
            onChange={(changed) => put({ limitsBy: limitsBy.with(index, changed) })}
            onRemove={() => put({ limitsBy: limitsBy.toSpliced(index, 1) })}
          />
        ))}
        <div>
          <Button icon="plus" onClick={() => put({ limitsBy: [...limitsBy, emptyLimitsBy()] })}>
            {t.addLimitsBy}
          </Button>
        </div>
      </fieldset>
      <fieldset class="part">
        <legend>{t.budgets}</legend>
        {budgets.map((each, index) => (
          <BudgetRow
            key={index}
            number={index}
            draft={each}
            models={models}
            currency={currency}
            wrongOf={wrongOf}
            onChange={(changed) => put({ budgets: budgets.with(index, changed) })}
            onRemove={() => put({ budgets: budgets.toSpliced(index, 1) })}
          />
        ))}
        <div>
          <Button icon="plus" onClick={() => put({ budgets: [...budgets, emptyBudget(currency)] })}>
            {t.addBudget}
          </Button>
        </div>
      </fieldset>
    </>
  );
}

interface LimitFieldsProps {
  limits: LimitTexts;
  path: string;
  wrongOf: WrongOf;
  onChange: (limits: LimitTexts) => void;
}

function LimitFields({ limits, path, wrongOf, onChange }: LimitFieldsProps): JSX.Element {
  const t = textsOf(ACCESS);
  return (
    <div class="fields">
      {LIMIT_NAMES.map((name) => (
        <TextField
          key={name}
          label={t.limits[name]}
          value={limits[name]}
          onInput={(value) => onChange({ ...limits, [name]: value })}
          isNumber
          placeholder={t.form.none}
          wrong={wrongOf(`${path}.${name}`)}
        />
      ))}
    </div>
  );
}

interface RowProps<Draft> {
  /** From zero. */
  number: number;
  draft: Draft;
  models: readonly string[];
  wrongOf: WrongOf;
  onChange: (draft: Draft) => void;
  onRemove: () => void;
}

function LimitsByRow({
  number,
  draft,
  models,
  wrongOf,
  onChange,
  onRemove,
}: RowProps<LimitsByDraft>): JSX.Element {
  const t = textsOf(ACCESS).form;
  const path = `limits_by[${number}]`;
  return (
    <fieldset class="entry">
      <legend>{t.limitRow(String(number + 1))}</legend>
      <div class="fields">
        <ModelSelect
          value={draft.model}
          models={models}
          wrong={wrongOf(`${path}.model`)}
          onChange={(model) => onChange({ ...draft, model })}
        />
        <Checkbox
          label={t.perUser}
          checked={draft.isPerUser}
          onChange={(isPerUser) => onChange({ ...draft, isPerUser })}
        />
      </div>
      <LimitFields
        limits={draft.limits}
        path={path}
        wrongOf={wrongOf}
        onChange={(limits) => onChange({ ...draft, limits })}
      />
      <div class="row end">
        <RemoveButton label={t.removeLimit(String(number + 1))} onRemove={onRemove} />
      </div>
    </fieldset>
  );
}

function BudgetRow({
  number,
  draft,
  models,
  currency,
  wrongOf,
  onChange,
  onRemove,
}: RowProps<BudgetDraft> & { currency: string }): JSX.Element {
  const all = textsOf(ACCESS);
  const t = all.form;
  const path = `budgets[${number}]`;
  const units = [...new Set([currency, TOKENS, draft.unit])];
  return (
    <fieldset class="entry">
      <legend>{t.budgetRow(String(number + 1))}</legend>
      <div class="fields">
        <TextField
          label={t.amount}
          value={draft.amount}
          onInput={(amount) => onChange({ ...draft, amount })}
          isNumber
          placeholder="10.00"
          wrong={wrongOf(`${path}.amount`)}
        />
        <Select
          label={t.unit}
          value={draft.unit}
          options={units.map((unit) => [unit, unit === TOKENS ? t.tokens : unit])}
          onChange={(unit) => onChange({ ...draft, unit })}
          wrong={wrongOf(`${path}.unit`)}
        />
        <Select
          label={t.period}
          value={draft.period}
          options={PERIODS.map((period) => [period, all.periods[period]])}
          onChange={(period) => onChange({ ...draft, period })}
          wrong={wrongOf(`${path}.period`)}
        />
        <TextField
          label={t.warnAt}
          value={draft.warnPercent}
          onInput={(warnPercent) => onChange({ ...draft, warnPercent })}
          isNumber
          placeholder={t.none}
          wrong={wrongOf(`${path}.warn_at`)}
        />
        <ModelSelect
          value={draft.model}
          models={models}
          wrong={wrongOf(`${path}.model`)}
          onChange={(model) => onChange({ ...draft, model })}
        />
        <Checkbox
          label={t.perUser}
          checked={draft.isPerUser}
          onChange={(isPerUser) => onChange({ ...draft, isPerUser })}
        />
      </div>
      <div class="row apart">
        <output class="words">{wordsOf(draft)}</output>
        <RemoveButton label={t.removeBudget(String(number + 1))} onRemove={onRemove} />
      </div>
    </fieldset>
  );
}

/** What will be set, said in full: a slip of a zero is seen here. */
function wordsOf(draft: BudgetDraft): string {
  const amount = bare(draft.amount);
  if (!isAmount(amount)) return "";
  const model = draft.model === "" ? null : draft.model;
  return textsOf(ACCESS).form.inWords(budgetWords({ ...draft, amount, model, per_user: draft.isPerUser }));
}

interface ModelSelectProps {
  value: string;
  models: readonly string[];
  wrong: string | undefined;
  onChange: (model: string) => void;
}

function ModelSelect({ value, models, wrong, onChange }: ModelSelectProps): JSX.Element {
  const t = textsOf(ACCESS).form;
  const known = [...new Set(value === "" ? models : [...models, value])];
  return (
    <Select
      label={t.model}
      value={value}
      options={[["", t.anyModel], ...known.map((each): [string, string] => [each, each])]}
      onChange={onChange}
      wrong={wrong}
    />
  );
}

function RemoveButton({ label, onRemove }: { label: string; onRemove: () => void }): JSX.Element {
  return (
    <Button look="plain" icon="trash" aria-label={label} onClick={onRemove}>
      {textsOf(ACCESS).form.remove}
    </Button>
  );
}
