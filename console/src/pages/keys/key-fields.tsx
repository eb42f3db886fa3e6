import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { now as gatewayTime } from "../../lib/clock.ts";
import { localInput } from "../../lib/local-input.ts";
import { Select, TextField } from "../../ui/basics.tsx";
import { Time } from "../../ui/values.tsx";
import type { Choices } from "../access/facts.ts";
import type { WrongOf } from "../access/form-faults.tsx";
import { EXPIRY_CHOICES, expiryOf, type KeyDraft, type KeyKind } from "../access/key-draft.ts";
import { ACCESS } from "../access/texts.ts";
import { KEYS } from "./texts.ts";

const KINDS: readonly KeyKind[] = ["model", "admin", "admin_read"];

interface KeyFieldsProps {
  draft: KeyDraft;
  put: (changes: Partial<KeyDraft>) => void;
  /** A key that is there stays one for models, or one for admins. */
  isNew: boolean;
  projects: Choices | undefined;
  wrongOf: WrongOf;
}

/** Whose a key is, and until when. */
export function KeyFields({ draft, put, isNew, projects, wrongOf }: KeyFieldsProps): JSX.Element {
  const t = textsOf(KEYS).form;
  const kinds = isNew ? KINDS : KINDS.filter((kind) => (kind === "model") === (draft.kind === "model"));
  return (
    <div class="fields two">
      <TextField
        label={t.name}
        value={draft.name}
        onInput={(name) => put({ name })}
        hint={t.nameHint}
        wrong={wrongOf("name")}
      />
      <TextField
        label={t.owner}
        value={draft.owner}
        onInput={(owner) => put({ owner })}
        hint={t.ownerHint}
        wrong={wrongOf("owner")}
      />
      <Select
        label={t.kind}
        value={draft.kind}
        options={kinds.map((kind) => [kind, textsOf(ACCESS).kinds[kind]])}
        onChange={(kind) => put({ kind })}
        hint={t.kindHints[draft.kind]}
        wrong={wrongOf("kind")}
      />
      <ProjectField
        value={draft.project}
        projects={projects}
        onChange={(project) => put({ project })}
        wrong={wrongOf("project")}
      />
      <Expiry draft={draft} put={put} wrong={wrongOf("expires_at")} />
    </div>
  );
}

interface ProjectFieldProps {
  value: string;
  projects: Choices | undefined;
  onChange: (project: string) => void;
  wrong: string | undefined;
}

/** A choice; where there are more projects than one can choose from, a name to type. */
function ProjectField({ value, projects, onChange, wrong }: ProjectFieldProps): JSX.Element {
  const label = textsOf(KEYS).form.project;
  if (projects?.hasMore === true) {
    return <TextField label={label} value={value} onInput={onChange} wrong={wrong} />;
  }
  const names = [...new Set([...(projects?.names ?? []), value])];
  return (
    <Select
      label={label}
      value={value}
      options={names.map((name): [string, string] => [name, name])}
      onChange={onChange}
      wrong={wrong}
    />
  );
}

interface ExpiryProps {
  draft: KeyDraft;
  put: (changes: Partial<KeyDraft>) => void;
  wrong: string | undefined;
}

function Expiry({ draft, put, wrong }: ExpiryProps): JSX.Element {
  const t = textsOf(KEYS).form;
  const at = expiryOf(draft, new Date(gatewayTime()));
  const isExact = draft.expiry === "exact";
  return (
    <>
      <Select
        label={t.expiry}
        value={draft.expiry}
        options={EXPIRY_CHOICES.map((choice) => [choice, t.expiries[choice]])}
        onChange={(expiry) => {
          const expiresAt =
            expiry === "exact" && at instanceof Date ? localInput(at.toISOString()) : draft.expiresAt;
          put({ expiry, expiresAt });
        }}
        hint={at instanceof Date && !isExact ? <Time utc={at.toISOString()} /> : undefined}
        wrong={isExact ? undefined : wrong}
      />
      {isExact ? (
        <TextField
          label={t.expiresAt}
          type="datetime-local"
          value={draft.expiresAt}
          onInput={(expiresAt) => put({ expiresAt })}
          hint={at instanceof Date ? <Time utc={at.toISOString()} relative /> : undefined}
          wrong={wrong}
        />
      ) : null}
    </>
  );
}
