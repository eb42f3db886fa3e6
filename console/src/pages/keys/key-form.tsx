import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { useAction } from "../../lib/resource.ts";
import { Button, Checkbox, FaultNote } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { toast } from "../../ui/toast.tsx";
import { useModelIds, useProjectNames } from "../access/facts.ts";
import { FormFaultNote, formFaults, useFocusOnWrong } from "../access/form-faults.tsx";
import {
  emptyKey,
  type KeyBody,
  type KeyDraft,
  keyDraftOf,
  readKeyChange,
  readNewKey,
} from "../access/key-draft.ts";
import type { DraftFault } from "../access/rules-draft.ts";
import { RulesForm } from "../access/rules-form.tsx";
import { ACCESS } from "../access/texts.ts";
import { KeyFields } from "./key-fields.tsx";
import { ModelChoice } from "./model-choice.tsx";
import { nameOf } from "./names.ts";
import { KEYS } from "./texts.ts";

async function create(body: KeyBody): Promise<Schemas["NewKeySchema"]> {
  return unwrap(admin.POST("/admin/v1/keys", { body: { ...body, name: body.name ?? "" } }));
}

async function change(id: number, { kind, ...rest }: KeyBody): Promise<void> {
  // A key for models stays one, which the form does not offer to change.
  const body = kind === undefined || kind === "model" ? rest : { ...rest, kind };
  if (Object.keys(body).length === 0) {
    toast(textsOf(ACCESS).form.nothingChanged);
    return;
  }
  const path = { key_id: id };
  const key = await unwrap(admin.PATCH("/admin/v1/keys/{key_id}", { params: { path }, body }));
  toast(textsOf(KEYS).done.changed(nameOf(key)));
}

interface KeyFormProps {
  /** Null: a new one. */
  existing: Schemas["KeySchema"] | null;
  /** Of a new one. */
  project: string;
  currency: string;
  onCreated: (key: Schemas["NewKeySchema"]) => void;
  onChanged: () => void;
  onClose: () => void;
}

/** Makes or changes a key. What was typed stays until it is saved or given up. */
export function KeyForm(props: KeyFormProps): JSX.Element {
  const { existing, project, currency, onCreated, onChanged, onClose } = props;
  const t = textsOf(KEYS).form;
  const common = textsOf(COMMON);
  const [start] = useState(() => (existing === null ? emptyKey(project) : keyDraftOf(existing)));
  const [draft, setDraft] = useState(start);
  const [found, setFound] = useState<readonly DraftFault[]>([]);
  const rows = useRef<readonly (number | null)[]>([]);
  const form = useRef<HTMLFormElement>(null);
  const knownModels = useModelIds();
  const models = knownModels.data?.names ?? [];
  const projects = useProjectNames();
  const save = useAction(async () => {
    const reading =
      existing === null
        ? readNewKey(draft, new Date(gatewayTime()))
        : readKeyChange(start, draft, new Date(gatewayTime()));
    setFound(reading.faults);
    rows.current = reading.limitsByRows;
    if (reading.faults.length > 0) return;
    if (existing === null) onCreated(await create(reading.body));
    else {
      await change(existing.id, reading.body);
      onChanged();
    }
  });
  const faults = formFaults(found, save.fault, rows.current);
  useFocusOnWrong(form, faults.count > 0 && !save.isRunning ? (save.fault ?? found) : null);
  const put = (changes: Partial<KeyDraft>): void => setDraft({ ...draft, ...changes });
  const isChanged = JSON.stringify(draft) !== JSON.stringify(start);
  return (
    <Dialog
      title={existing === null ? t.createTitle : t.changeTitle(nameOf(existing))}
      look="wide"
      onClose={onClose}
      isHeld={isChanged}
    >
      <form
        ref={form}
        class="stack"
        noValidate
        onSubmit={(event) => {
          event.preventDefault();
          save.run();
        }}
      >
        {[knownModels, projects].map(({ fault, reload }, index) =>
          fault === undefined ? null : <FaultNote key={String(index)} fault={fault} onRetry={reload} />,
        )}
        <KeyFields
          draft={draft}
          put={put}
          isNew={existing === null}
          projects={projects.data}
          wrongOf={faults.wrongOf}
        />
        {draft.kind === "model" ? (
          <>
            <ModelChoice
              mayUseAll={draft.mayUseAllModels}
              chosen={draft.models}
              known={models}
              wrong={faults.wrongOf("models")}
              onChange={(mayUseAllModels, chosen) => put({ mayUseAllModels, models: chosen })}
            />
            <Checkbox
              label={t.trustsUserHeader}
              checked={draft.trustsUserHeader}
              onChange={(trustsUserHeader) => put({ trustsUserHeader })}
            />
            <RulesForm
              draft={draft.rules}
              onChange={(rules) => put({ rules })}
              wrongOf={faults.wrongOf}
              models={models}
              currency={currency}
            />
          </>
        ) : null}
        <FormFaultNote faults={faults} fault={save.fault} />
        <div class="deeds">
          <Button onClick={onClose}>{common.cancel}</Button>
          <Button type="submit" look="primary" isBusy={save.isRunning}>
            {existing === null ? t.createDeed : common.save}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
