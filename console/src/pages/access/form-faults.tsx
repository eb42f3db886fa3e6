import type { JSX, RefObject } from "preact";
import { useEffect } from "preact/hooks";
import { ApiFault } from "../../api/fault.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { FaultNote } from "../../ui/basics.tsx";
import { type DraftFault, paramOfForm } from "./rules-draft.ts";
import { ACCESS } from "./texts.ts";

/** What is wrong with the field of this name; undefined: nothing. */
export type WrongOf = (param: string) => string | undefined;

/** Faults that have a field in these forms. */
const FIELD =
  /^(name|kind|project|expires_at|owner|models|((limits|limits_by\[\d+\])\.(requests_per_minute|tokens_per_minute|concurrent_requests))|limits_by\[\d+\]\.model|budgets\[\d+\]\.(unit|amount|period|model|warn_at))$/;

/** Of an entry of a list that is one field. */
function fieldOf(param: string): string {
  return param.replace(/^models\[\d+\]$/, "models");
}

export interface FormFaults {
  wrongOf: WrongOf;
  /** Whether everything that is wrong is told at a field. */
  isAllAtFields: boolean;
  count: number;
}

/** What the form found by itself, and what the API said of the last try. */
export function formFaults(
  found: readonly DraftFault[],
  fault: Error | undefined,
  limitsByRows: readonly (number | null)[],
): FormFaults {
  const t = textsOf(ACCESS);
  const wrong = new Map<string, string>();
  for (const each of found) if (!wrong.has(each.param)) wrong.set(each.param, t.wrong[each.reason]);
  const told = fault instanceof ApiFault ? fault.faults : [];
  let isAllAtFields = told.length > 0 || fault === undefined;
  for (const each of told) {
    const param = each.param === null ? "" : fieldOf(paramOfForm(each.param, limitsByRows));
    if (FIELD.test(param)) wrong.set(param, each.message);
    else isAllAtFields = false;
  }
  return { wrongOf: (param) => wrong.get(param), isAllAtFields, count: wrong.size };
}

/** Above the buttons of a form: what is told at no field, or that there is something to be seen at some. */
export function FormFaultNote({
  faults,
  fault,
}: {
  faults: FormFaults;
  fault: Error | undefined;
}): JSX.Element | null {
  const t = textsOf(ACCESS);
  const common = textsOf(COMMON);
  if (fault !== undefined && !faults.isAllAtFields) return <FaultNote fault={fault} />;
  if (faults.count === 0) return null;
  return (
    <div class="fault" role="alert">
      <span>{t.form.wrong}</span>
      {fault instanceof ApiFault && fault.requestId !== null ? (
        <span class="id mono muted">{common.requestId(fault.requestId)}</span>
      ) : null}
    </div>
  );
}

/** After a try that failed, the first field that is wrong has the focus. */
export function useFocusOnWrong(form: RefObject<HTMLFormElement | null>, round: unknown): void {
  useEffect(() => {
    form.current?.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [form, round]);
}
