import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useResource } from "../../lib/resource.ts";
import { Section, Tag } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Fact } from "../../ui/facts.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { BudgetList } from "../access/budgets.tsx";
import type { GatewayFacts } from "../access/facts.ts";
import type { LimitEntry } from "../access/limit-lines.ts";
import { LimitList } from "../access/limits.tsx";
import { ACCESS } from "../access/texts.ts";
import { UseLine } from "../access/use-line.tsx";
import { StateTag } from "../access/words.tsx";
import { Captures } from "./captures.tsx";
import { Deeds } from "./deeds.tsx";
import { nameOf } from "./names.ts";
import { KEYS } from "./texts.ts";

type Detail = Schemas["KeyDetail"];

interface DetailsProps {
  id: number;
  facts: GatewayFacts | undefined;
  /** Changes when the key may be another than it was. */
  round: number;
  onChange: () => void;
  onEdit: (key: Detail) => void;
  onRotated: (key: Schemas["NewKeySchema"]) => void;
  onClose: () => void;
}

/** All about one key, beside the list. */
export function KeyDetails({
  id,
  facts,
  round,
  onChange,
  onEdit,
  onRotated,
  onClose,
}: DetailsProps): JSX.Element {
  const t = textsOf(KEYS);
  const key = useResource(`${id} ${round}`, (signal) =>
    unwrap(admin.GET("/admin/v1/keys/{key_id}", { params: { path: { key_id: id } }, signal })),
  );
  return (
    <Dialog
      title={key.data === undefined ? t.unnamed(String(id)) : nameOf(key.data)}
      look="drawer"
      onClose={onClose}
    >
      <Loaded resource={key}>
        {(detail) => (
          <div class="stack loose">
            {mayChange.value && detail.revoked_at === null ? (
              <Deeds of={detail} onChange={onChange} onEdit={() => onEdit(detail)} onRotated={onRotated} />
            ) : null}
            <Facts of={detail} />
            {detail.kind === "model" ? <OfModelKey of={detail} facts={facts} round={round} /> : null}
          </div>
        )}
      </Loaded>
    </Dialog>
  );
}

function Facts({ of: key }: { of: Detail }): JSX.Element {
  const t = textsOf(KEYS);
  const access = textsOf(ACCESS);
  const times = [
    [t.facts.created, key.created_at],
    [t.facts.rotated, key.rotated_at],
    [t.facts.grace, key.previous_expires_at],
    [t.facts.blocked, key.blocked_at],
    [t.facts.revoked, key.revoked_at],
  ] as const;
  const project = `/console/projects/${key.project_id}`;
  return (
    <dl class="facts">
      <dt>{t.state}</dt>
      <dd>
        <StateTag state={key.state} />
        {key.state === "project_blocked" ? (
          <span class="small">
            {" "}
            {t.projectBlocked} <a href={project}>{t.toProject}</a>
          </span>
        ) : null}
      </dd>
      <dt>{t.facts.prefix}</dt>
      <dd class="mono">{key.prefix}…</dd>
      <dt>{t.facts.kind}</dt>
      <dd>{access.kinds[key.kind]}</dd>
      <dt>{t.facts.project}</dt>
      <dd>
        <a href={project}>{key.project}</a>
      </dd>
      <Fact title={t.facts.owner}>{key.owner}</Fact>
      {key.kind === "model" ? (
        <Fact title={t.facts.models}>
          <Models models={key.models} />
        </Fact>
      ) : null}
      {key.trusts_user_header ? <Fact title={t.facts.users}>{t.facts.usersTrusted}</Fact> : null}
      <dt>{t.facts.expires}</dt>
      <dd>
        {key.expires_at === null ? (
          t.never
        ) : (
          <>
            <Time utc={key.expires_at} />{" "}
            <span class="muted">
              (<Time utc={key.expires_at} relative />)
            </span>
          </>
        )}
      </dd>
      {times.map(([title, utc]) =>
        utc === null ? null : (
          <Fact key={title} title={title}>
            <Time utc={utc} />
          </Fact>
        ),
      )}
    </dl>
  );
}

function Models({ models }: { models: readonly string[] | null }): JSX.Element {
  if (models === null) return <>{textsOf(KEYS).allModels}</>;
  return (
    <span class="row">
      {models.map((model) => (
        <Tag key={model}>{model}</Tag>
      ))}
    </span>
  );
}

interface OfModelKeyProps {
  of: Detail;
  facts: GatewayFacts | undefined;
  round: number;
}

/** Admin keys call no model, so they have none of this. */
function OfModelKey({ of: key, facts, round }: OfModelKeyProps): JSX.Element {
  const t = textsOf(ACCESS);
  const standing = useResource(`${key.id} ${round}`, (signal) =>
    unwrap(admin.GET("/admin/v1/keys/{key_id}/standing", { params: { path: { key_id: key.id } }, signal })),
  );
  return (
    <>
      <Section title={t.usage}>
        <UseLine owner="key" id={key.id} />
      </Section>
      <Section title={t.limitsTitle}>
        <LimitList entries={limitEntries(key)} standing={standing} />
      </Section>
      <Section title={t.budgetsTitle}>
        <BudgetList owner="key" id={key.id} round={round} hasOthers={key.inherited_budgets.length > 0} />
        {key.inherited_budgets.length === 0 ? null : (
          <BudgetList owner="project" id={key.project_id} round={round} isInherited />
        )}
      </Section>
      <Captures keyId={key.id} mayStart={facts?.mayCapture === true && key.state === "active"} />
    </>
  );
}

function limitEntries(key: Detail): LimitEntry[] {
  return [
    { ...key.limits, whose: "key", model: null, per_user: false },
    ...key.limits_by.map((each): LimitEntry => ({ ...each, whose: "key" })),
    ...key.inherited_limits.map(
      (each): LimitEntry => ({ ...each, whose: each.scope === "default" ? "default" : "project" }),
    ),
  ];
}
