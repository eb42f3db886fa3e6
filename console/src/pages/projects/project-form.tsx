import type { JSX } from "preact";
import { useRef, useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useAction } from "../../lib/resource.ts";
import { Button, FaultNote, TextField } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { toast } from "../../ui/toast.tsx";
import { useModelIds } from "../access/facts.ts";
import { FormFaultNote, formFaults, useFocusOnWrong } from "../access/form-faults.tsx";
import { type DraftFault, emptyRules, readRules, rulesDraftOf } from "../access/rules-draft.ts";
import { RulesForm } from "../access/rules-form.tsx";
import { ACCESS } from "../access/texts.ts";
import { PROJECTS } from "./texts.ts";

type Project = Schemas["ProjectSchema"];

const DEFAULT = "default";

interface ProjectFormProps {
  /** Null: a new one. */
  existing: Project | null;
  currency: string;
  onDone: () => void;
  onClose: () => void;
}

/** Makes or changes a project. What was typed stays until it is saved or given up. */
export function ProjectForm({ existing, currency, onDone, onClose }: ProjectFormProps): JSX.Element {
  const t = textsOf(PROJECTS).form;
  const common = textsOf(COMMON);
  const [start] = useState(() =>
    existing === null
      ? { name: "", rules: emptyRules() }
      : { name: existing.name, rules: rulesDraftOf(existing) },
  );
  const [draft, setDraft] = useState(start);
  const [found, setFound] = useState<readonly DraftFault[]>([]);
  const rows = useRef<readonly (number | null)[]>([]);
  const form = useRef<HTMLFormElement>(null);
  const models = useModelIds();
  const save = useAction(async () => {
    const { body, faults, limitsByRows } = readRules(start.rules, draft.rules);
    const name = draft.name.trim();
    if (name === "") faults.push({ param: "name", reason: "missing" });
    setFound(faults);
    rows.current = limitsByRows;
    if (faults.length > 0) return;
    if (existing === null) await create({ ...body, name });
    else await change(existing.id, name === existing.name ? body : { ...body, name });
    onDone();
  });
  const faults = formFaults(found, save.fault, rows.current);
  useFocusOnWrong(form, faults.count > 0 && !save.isRunning ? (save.fault ?? found) : null);
  return (
    <Dialog
      title={existing === null ? t.createTitle : t.changeTitle(existing.name)}
      look="wide"
      onClose={onClose}
      isHeld={JSON.stringify(draft) !== JSON.stringify(start)}
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
        {models.fault === undefined ? null : <FaultNote fault={models.fault} onRetry={models.reload} />}
        <TextField
          label={textsOf(ACCESS).name}
          value={draft.name}
          onInput={(name) => setDraft({ ...draft, name })}
          hint={existing?.name === DEFAULT ? t.defaultHint : t.nameHint}
          wrong={faults.wrongOf("name")}
        />
        <RulesForm
          draft={draft.rules}
          onChange={(rules) => setDraft({ ...draft, rules })}
          wrongOf={faults.wrongOf}
          models={models.data?.names ?? []}
          currency={currency}
        />
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

async function create(body: Schemas["ProjectCreate"]): Promise<void> {
  const project = await unwrap(admin.POST("/admin/v1/projects", { body }));
  toast(textsOf(PROJECTS).done.created(project.name));
}

async function change(id: number, body: Schemas["ProjectChange"]): Promise<void> {
  if (Object.keys(body).length === 0) {
    toast(textsOf(ACCESS).form.nothingChanged);
    return;
  }
  const path = { project_id: id };
  const project = await unwrap(admin.PATCH("/admin/v1/projects/{project_id}", { params: { path }, body }));
  toast(textsOf(PROJECTS).done.changed(project.name));
}
