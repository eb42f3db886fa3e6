import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, FaultNote, Section } from "../../ui/basics.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { Loaded } from "../../ui/table.tsx";
import { toast } from "../../ui/toast.tsx";
import { Time } from "../../ui/values.tsx";
import { BudgetList } from "../access/budgets.tsx";
import type { LimitEntry } from "../access/limit-lines.ts";
import { LimitList } from "../access/limits.tsx";
import { ACCESS } from "../access/texts.ts";
import { UseLine } from "../access/use-line.tsx";
import { StateTag } from "../access/words.tsx";
import { keysPath } from "./links.ts";
import { PROJECTS } from "./texts.ts";

type Project = Schemas["ProjectSchema"];

interface DetailsProps {
  id: number;
  /** Changes when the project may be another than it was. */
  round: number;
  onChange: () => void;
  onEdit: (project: Project) => void;
  onClose: () => void;
}

/** All about one project, beside the list. */
export function ProjectDetails({ id, round, onChange, onEdit, onClose }: DetailsProps): JSX.Element {
  const t = textsOf(PROJECTS);
  const access = textsOf(ACCESS);
  const path = { project_id: id };
  const project = useResource(`${id} ${round}`, (signal) =>
    unwrap(admin.GET("/admin/v1/projects/{project_id}", { params: { path }, signal })),
  );
  const standing = useResource(`${id} ${round}`, (signal) =>
    unwrap(admin.GET("/admin/v1/projects/{project_id}/standing", { params: { path }, signal })),
  );
  return (
    <Dialog title={project.data?.name ?? t.unnamed(String(id))} look="drawer" onClose={onClose}>
      <Loaded resource={project}>
        {(found) => (
          <div class="stack loose">
            {mayChange.value ? <Deeds of={found} onChange={onChange} onEdit={() => onEdit(found)} /> : null}
            <Facts of={found} />
            <Section title={access.usage}>
              <UseLine owner="project" id={id} />
            </Section>
            <Section title={t.limitsTitle}>
              <LimitList entries={limitEntries(found)} standing={standing} isProject />
            </Section>
            <Section title={t.budgetsTitle}>
              <BudgetList owner="project" id={id} round={round} />
            </Section>
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}

function limitEntries(project: Project): LimitEntry[] {
  return [
    { ...project.limits, whose: "project", model: null, per_user: false },
    ...project.limits_by.map((each): LimitEntry => ({ ...each, whose: "project" })),
  ];
}

function Facts({ of: project }: { of: Project }): JSX.Element {
  const t = textsOf(PROJECTS);
  const access = textsOf(ACCESS);
  return (
    <dl class="facts">
      <dt>{t.columns.state}</dt>
      <dd>
        <StateTag state={project.blocked_at === null ? "active" : "blocked"} />
      </dd>
      <dt>{t.columns.keys}</dt>
      <dd>
        <a href={keysPath(project)} aria-label={t.keysOf(project.name, grouped(project.keys))}>
          {grouped(project.keys)}
        </a>
      </dd>
      <dt>{access.created}</dt>
      <dd>
        <Time utc={project.created_at} />
      </dd>
      {project.blocked_at === null ? null : (
        <>
          <dt>{access.blockedAt}</dt>
          <dd>
            <Time utc={project.blocked_at} />
          </dd>
        </>
      )}
    </dl>
  );
}

interface DeedsProps {
  of: Project;
  onChange: () => void;
  onEdit: () => void;
}

function Deeds({ of: project, onChange, onEdit }: DeedsProps): JSX.Element {
  const t = textsOf(PROJECTS);
  const access = textsOf(ACCESS);
  const [isAsked, setAsked] = useState(false);
  const path = { project_id: project.id };
  const unblock = useAction(async () => {
    await unwrap(admin.POST("/admin/v1/projects/{project_id}/unblock", { params: { path } }));
    toast(t.done.unblocked(project.name));
    onChange();
  });
  const block = useAction(async () => {
    await unwrap(admin.POST("/admin/v1/projects/{project_id}/block", { params: { path } }));
    toast(t.done.blocked(project.name));
    setAsked(false);
    onChange();
  });
  return (
    <>
      <div class="row">
        <Button onClick={onEdit}>{access.change}</Button>
        {project.blocked_at === null ? (
          <Button onClick={() => setAsked(true)}>{access.block}</Button>
        ) : (
          <Button isBusy={unblock.isRunning} onClick={() => unblock.run()}>
            {access.unblock}
          </Button>
        )}
      </div>
      {unblock.fault === undefined ? null : <FaultNote fault={unblock.fault} />}
      {isAsked ? (
        // Other than a key's block it may shut out who does it.
        <Confirm
          title={t.blockTitle(project.name)}
          deed={access.block}
          isBusy={block.isRunning}
          onConfirm={() => block.run()}
          onClose={() => setAsked(false)}
        >
          <p>{t.blockWords(project.name)}</p>
          {block.fault === undefined ? null : <FaultNote fault={block.fault} />}
        </Confirm>
      ) : null}
    </>
  );
}
