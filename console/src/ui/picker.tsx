import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { admin, unwrap } from "../api/client.ts";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import { MAX_PAGE_ROWS } from "../lib/paged.ts";
import { useResource } from "../lib/resource.ts";
import { Button, Field } from "./basics.tsx";

interface Option {
  id: string;
  name: string;
}

interface PickerProps {
  label: string;
  /** The id that is chosen; null: none. */
  value: string | null;
  onChange: (id: string | null) => void;
  /** What there is that is called so. */
  search: (text: string, signal: AbortSignal) => Promise<Option[]>;
  /** What an id is called; null: it is gone. */
  nameOf: (id: string, signal: AbortSignal) => Promise<string | null>;
}

const PAUSE_MS = 200;

/** A choice among more than a list can show: type a part of the name. */
function Picker({ label, value, onChange, search, nameOf }: PickerProps): JSX.Element {
  const t = textsOf(COMMON);
  const [text, setText] = useState("");
  const [asked, setAsked] = useState<string | null>(null);
  const chosen = useResource(value, async (signal) => (value === null ? null : nameOf(value, signal)));
  const found = useResource(asked, (signal) => search(asked ?? "", signal));
  useEffect(() => {
    if (text === "") return;
    const timer = setTimeout(() => setAsked(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  if (value !== null) {
    return (
      <Field label={label}>
        {(id) => (
          <span class="picked">
            <output id={id} class="grow">
              {chosen.data ?? `#${value}`}
            </output>
            <Button
              look="plain"
              icon="close"
              aria-label={`${t.reset}: ${label}`}
              onClick={() => onChange(null)}
            />
          </span>
        )}
      </Field>
    );
  }
  return (
    <Field label={label}>
      {(id) => (
        <>
          <input
            id={id}
            class="input"
            list={`${id}-found`}
            autocomplete="off"
            placeholder={t.all}
            value={text}
            onFocus={() => setAsked((before) => before ?? "")}
            onInput={(event) => {
              const typed = event.currentTarget.value;
              const match = found.data?.find((each) => each.name === typed);
              setText(match === undefined ? typed : "");
              if (match !== undefined) onChange(match.id);
            }}
          />
          <datalist id={`${id}-found`}>
            {(found.data ?? []).map((each) => (
              <option key={each.id} value={each.name} />
            ))}
          </datalist>
        </>
      )}
    </Field>
  );
}

type ChoiceProps = Pick<PickerProps, "label" | "value" | "onChange">;

const MOST_FOUND = 20;

export function KeyPicker(props: ChoiceProps): JSX.Element {
  return (
    <Picker
      {...props}
      search={async (text, signal) => {
        const query = { limit: MOST_FOUND, ...(text === "" ? {} : { name: text }) };
        const page = await unwrap(admin.GET("/admin/v1/keys", { params: { query }, signal }));
        return page.data
          .filter((key) => key.kind === "model")
          .map((key) => ({ id: String(key.id), name: key.name }));
      }}
      nameOf={async (id, signal) => {
        const path = { key_id: Number(id) };
        return (await unwrap(admin.GET("/admin/v1/keys/{key_id}", { params: { path }, signal }))).name;
      }}
    />
  );
}

export function ProjectPicker(props: ChoiceProps): JSX.Element {
  return (
    <Picker
      {...props}
      search={async (text, signal) => {
        const query = { limit: MAX_PAGE_ROWS };
        const page = await unwrap(admin.GET("/admin/v1/projects", { params: { query }, signal }));
        return page.data
          .filter((project) => project.name.includes(text))
          .slice(0, MOST_FOUND)
          .map((project) => ({ id: String(project.id), name: project.name }));
      }}
      nameOf={async (id, signal) => {
        const path = { project_id: Number(id) };
        return (await unwrap(admin.GET("/admin/v1/projects/{project_id}", { params: { path }, signal })))
          .name;
      }}
    />
  );
}

/** One of the config's models, which are few. */
export function ModelPicker({ label, value, onChange }: ChoiceProps): JSX.Element {
  const t = textsOf(COMMON);
  const models = useResource("models", (signal) =>
    unwrap(admin.GET("/admin/v1/models", { params: { query: { limit: MAX_PAGE_ROWS } }, signal })),
  );
  const ids = models.data?.data.map((model) => model.id) ?? [];
  // One that the config no longer has can still be looked for.
  const all = value === null || ids.includes(value) ? ids : [value, ...ids];
  return (
    <Field label={label}>
      {(id) => (
        <select
          id={id}
          class="input"
          value={value ?? ""}
          onChange={(event) => onChange(event.currentTarget.value === "" ? null : event.currentTarget.value)}
        >
          <option value="">{t.all}</option>
          {all.map((each) => (
            <option key={each} value={each}>
              {each}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
