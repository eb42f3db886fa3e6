import type { ButtonHTMLAttributes, ComponentChildren, JSX } from "preact";
import { useEffect, useId } from "preact/hooks";
import { ApiFault, NotAKey, Outdated, Unreachable, Unreadable } from "../api/fault.ts";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import { duration } from "../lib/format.ts";
import { Icon, type IconName } from "./icons.tsx";

export type Tone = "neutral" | "good" | "warn" | "bad" | "accent";

export interface ButtonProps extends ButtonHTMLAttributes<HTMLButtonElement> {
  look?: "primary" | "danger" | "plain";
  icon?: IconName;
  isBusy?: boolean;
}

export function Button({ look, icon, isBusy = false, children, ...rest }: ButtonProps): JSX.Element {
  const alone = children === undefined ? "icon" : "";
  return (
    <button
      type="button"
      {...rest}
      class={`button ${look ?? ""} ${alone}`}
      disabled={isBusy || rest.disabled === true}
      aria-busy={isBusy}
    >
      {icon === undefined ? null : <Icon name={icon} />}
      {children}
    </button>
  );
}

export function Tag({
  tone = "neutral",
  children,
}: {
  tone?: Tone;
  children: ComponentChildren;
}): JSX.Element {
  return <span class={`tag ${tone}`}>{children}</span>;
}

interface FieldProps {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong with it. */
  wrong?: string | undefined;
  /** Gets the id that ties the label to the control, and the id of what is said of it (`aria-describedby`). */
  children: (id: string, toldBy: string | undefined) => ComponentChildren;
}

export function Field({ label, hint, wrong, children }: FieldProps): JSX.Element {
  const id = useId();
  const toldBy = wrong === undefined && hint === undefined ? undefined : `${id}-told`;
  return (
    <div class="field">
      <label class="label" for={id}>
        {label}
      </label>
      {children(id, toldBy)}
      {toldBy === undefined ? null : (
        <span class="told" id={toldBy}>
          {wrong === undefined ? null : <span class="wrong">{wrong}</span>}
          {hint === undefined ? null : <span class="hint">{hint}</span>}
        </span>
      )}
    </div>
  );
}

interface TextFieldProps {
  label: string;
  value: string;
  onInput: (value: string) => void;
  hint?: ComponentChildren;
  /** What is wrong with it. */
  wrong?: string | undefined;
  type?: "text" | "search" | "datetime-local";
  /** Brings up digits where there is no keyboard. */
  isNumber?: boolean;
  placeholder?: string;
  /** The id of a `datalist`. */
  list?: string;
  maxLength?: number;
}

export function TextField(props: TextFieldProps): JSX.Element {
  const { label, value, onInput, hint, wrong, type = "text", isNumber = false, ...rest } = props;
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(id, toldBy) => (
        <input
          {...rest}
          id={id}
          class="input"
          type={type}
          inputMode={isNumber ? "decimal" : undefined}
          autocomplete="off"
          spellcheck={false}
          value={value}
          aria-invalid={wrong !== undefined}
          aria-describedby={toldBy}
          onInput={(event) => onInput(event.currentTarget.value)}
        />
      )}
    </Field>
  );
}

interface SelectProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
  hint?: ComponentChildren;
  /** What is wrong with it. */
  wrong?: string | undefined;
}

export function Select<Value extends string>({
  label,
  value,
  options,
  onChange,
  hint,
  wrong,
}: SelectProps<Value>): JSX.Element {
  return (
    <Field label={label} hint={hint} wrong={wrong}>
      {(id, toldBy) => (
        <select
          id={id}
          class="input"
          aria-invalid={wrong !== undefined}
          aria-describedby={toldBy}
          value={value}
          onChange={(event) => {
            const chosen = options.find(([each]) => each === event.currentTarget.value);
            if (chosen !== undefined) onChange(chosen[0]);
          }}
        >
          {options.map(([each, name]) => (
            <option key={each} value={each}>
              {name}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface SegmentsProps<Value extends string> {
  label: string;
  value: Value;
  options: readonly (readonly [Value, string])[];
  onChange: (value: Value) => void;
}

/** A choice of a few, all in sight. */
export function Segments<Value extends string>({
  label,
  value,
  options,
  onChange,
}: SegmentsProps<Value>): JSX.Element {
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset can't be laid out in a line
    <div class="segments" role="group" aria-label={label}>
      {options.map(([each, name]) => (
        <button key={each} type="button" aria-pressed={each === value} onClick={() => onChange(each)}>
          {name}
        </button>
      ))}
    </div>
  );
}

interface CheckboxProps {
  label: ComponentChildren;
  checked: boolean;
  onChange: (checked: boolean) => void;
  disabled?: boolean;
}

export function Checkbox({ label, checked, onChange, disabled = false }: CheckboxProps): JSX.Element {
  return (
    <label class="choice">
      <input
        type="checkbox"
        checked={checked}
        disabled={disabled}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
      <span>{label}</span>
    </label>
  );
}

interface SectionProps {
  title: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Section({ title, actions, children }: SectionProps): JSX.Element {
  const id = useId();
  return (
    <section class="section" aria-labelledby={id}>
      <header>
        <h2 id={id}>{title}</h2>
        {actions}
      </header>
      {children}
    </section>
  );
}

interface PageProps {
  title: string;
  /** Right of the title: what can be done here. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

export function Page({ title, actions, children }: PageProps): JSX.Element {
  useEffect(() => {
    document.title = `${title} · llmgw`;
  }, [title]);
  return (
    <div class="page">
      <header>
        <h1 class="grow">{title}</h1>
        {actions}
      </header>
      <div class="stack loose">{children}</div>
    </div>
  );
}

/** A page or table that has nothing: what is missing, and what to do. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }): JSX.Element {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {children}
    </div>
  );
}

/** Why something could not be loaded or done, in words. */
export function FaultNote({ fault, onRetry }: { fault: Error; onRetry?: () => void }): JSX.Element {
  const t = textsOf(COMMON);
  const isApi = fault instanceof ApiFault;
  const isOld = fault instanceof Outdated;
  return (
    <div class="fault" role="alert">
      <span>{wordsOf(fault, t)}</span>
      {isApi && fault.retryAfterS !== null ? <span>{t.retryAfter(duration(fault.retryAfterS))}</span> : null}
      {isApi && fault.faults.length > 1 ? (
        <ul>
          {fault.faults.map((each) => (
            <li key={`${each.param} ${each.message}`}>
              {each.param === null ? null : <code>{each.param}</code>} {each.message}
            </li>
          ))}
        </ul>
      ) : null}
      {isApi && fault.requestId !== null ? (
        <span class="id mono muted">{t.requestId(fault.requestId)}</span>
      ) : null}
      {onRetry === undefined && !isOld ? null : (
        <div>
          <Button icon="refresh" onClick={isOld ? () => location.reload() : onRetry}>
            {isOld ? t.reloadPage : t.retry}
          </Button>
        </div>
      )}
    </div>
  );
}

function wordsOf(fault: Error, t: typeof COMMON.en): string {
  if (fault instanceof ApiFault)
    return fault.message === "" ? t.notOurs(String(fault.status)) : fault.message;
  if (fault instanceof Unreachable) return t.unreachable;
  if (fault instanceof Unreadable) return t.unreadable;
  if (fault instanceof NotAKey) return t.notAKey;
  return fault instanceof Outdated ? t.outdated : t.defect;
}

/** From this share on a budget is near its end, where it warns at none (`llmgw.budgets.store`). */
export const NEAR_END = 0.8;

/** How much of something is used. `share` may be above 1; `warnAt` null: at `NEAR_END`. */
export function Bar({
  share,
  label,
  warnAt = null,
}: {
  share: number;
  label: string;
  warnAt?: number | null;
}): JSX.Element {
  const tone = share >= 1 ? "bad" : share >= (warnAt ?? NEAR_END) ? "warn" : "";
  const part = Math.min(Math.max(share, 0), 1);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a <meter> takes no colours of ours
    <div
      class={`bar ${tone}`}
      role="meter"
      aria-label={label}
      aria-valuemin={0}
      aria-valuemax={100}
      aria-valuenow={Math.round(part * 100)}
    >
      <i style={{ width: `${part * 100}%` }} />
    </div>
  );
}
