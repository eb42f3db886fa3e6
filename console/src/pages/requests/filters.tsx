import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { COMMON } from "../../i18n/common.ts";
import { KINDS_BY_CULPRIT, kindName } from "../../i18n/error-kinds.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useQuery } from "../../lib/query.ts";
import { Button, Field, Select, TextField } from "../../ui/basics.tsx";
import { KeyPicker, ModelPicker, ProjectPicker } from "../../ui/picker.tsx";
import { TimeField } from "../../ui/timefield.tsx";
import {
  APIS,
  FILTER_NAMES,
  isFiltered,
  outcomeChanges,
  outcomeOf,
  PRESETS,
  presetOf,
  requestIdIn,
} from "./filter.ts";
import { REQUESTS } from "./texts.ts";

const RARE = ["project_id", "user", "api"] as const;

/** What is looked for; all of it is in the address. */
export function Filters({ onId }: { onId: (id: string) => void }): JSX.Element {
  const t = textsOf(REQUESTS);
  const [query, change] = useQuery();
  const [isWide, setWide] = useState(() => RARE.some((name) => query[name] !== undefined));
  return (
    <search class="filters">
      <IdField onId={onId} />
      <TimeFilter />
      <ModelPicker
        label={t.filters.model}
        value={query["model"] ?? null}
        onChange={(model) => change({ model })}
      />
      <KeyPicker
        label={t.filters.key}
        value={query["key_id"] ?? null}
        onChange={(id) => change({ key_id: id })}
      />
      <StatusFilter />
      <KindFilter />
      {isWide ? (
        <>
          <ProjectPicker
            label={t.filters.project}
            value={query["project_id"] ?? null}
            onChange={(id) => change({ project_id: id })}
          />
          <UserFilter />
          <Select
            label={t.filters.api}
            value={APIS.find((each) => each === query["api"]) ?? ""}
            options={[["", textsOf(COMMON).all], ...APIS.map((each) => [each, each] as const)]}
            onChange={(api) => change({ api })}
          />
        </>
      ) : null}
      <Button look="plain" aria-expanded={isWide} onClick={() => setWide(!isWide)}>
        {isWide ? t.filters.fewer : t.filters.more}
      </Button>
      {isFiltered(query) ? (
        <Button
          look="plain"
          icon="close"
          onClick={() => change(Object.fromEntries(FILTER_NAMES.map((name) => [name, null])))}
        >
          {t.dropFilters}
        </Button>
      ) : null}
    </search>
  );
}

/** An id that is pasted is opened at once. */
function IdField({ onId }: { onId: (id: string) => void }): JSX.Element {
  const t = textsOf(REQUESTS).filters;
  const [text, setText] = useState("");
  const [isWrong, setWrong] = useState(false);
  const open = (from: string): boolean => {
    const id = requestIdIn(from);
    if (id === null) return false;
    setText("");
    onId(id);
    return true;
  };
  return (
    <form
      class="request-id"
      onSubmit={(event) => {
        event.preventDefault();
        setWrong(text !== "" && !open(text));
      }}
      onPaste={(event) => {
        if (open(event.clipboardData?.getData("text") ?? "")) event.preventDefault();
      }}
    >
      <TextField
        label={t.id}
        type="search"
        value={text}
        placeholder={t.idHint}
        wrong={isWrong ? t.noId : undefined}
        onInput={(value) => {
          setText(value);
          setWrong(false);
        }}
      />
    </form>
  );
}

function TimeFilter(): JSX.Element {
  const t = textsOf(REQUESTS).filters;
  const common = textsOf(COMMON);
  const [query, change] = useQuery();
  const preset = presetOf(query);
  const { since, until } = query;
  const hasTimes = preset === null && (since ?? until) !== undefined;
  const [isExact, setExact] = useState(hasTimes);
  // "Back" may bring times, or take them away.
  useEffect(() => setExact(hasTimes), [hasTimes]);
  const shown = preset ?? (isExact ? "exact" : "any");
  return (
    <>
      <Select
        label={t.time}
        value={shown}
        options={(["any", ...PRESETS, "exact"] as const).map((each) => [each, t.times[each]])}
        onChange={(value) => {
          setExact(value === "exact");
          change({ time: value === "any" || value === "exact" ? null : value, since: null, until: null });
        }}
      />
      {shown === "exact" ? (
        <>
          <TimeField label={common.from} value={since ?? null} onChange={(utc) => change({ since: utc })} />
          <TimeField label={common.until} value={until ?? null} onChange={(utc) => change({ until: utc })} />
        </>
      ) : null}
    </>
  );
}

const STATUSES = [
  "200",
  "400",
  "401",
  "403",
  "404",
  "413",
  "429",
  "499",
  "500",
  "502",
  "503",
  "504",
] as const;

function StatusFilter(): JSX.Element {
  const t = textsOf(REQUESTS).filters;
  const [query, change] = useQuery();
  const outcome = outcomeOf(query);
  const options: (readonly [string, string])[] = [
    ["", textsOf(COMMON).all],
    ["failed:false", t.statuses.worked],
    ["failed:true", t.statuses.failed],
    ...(["2", "4", "5"] as const).map((each) => [`status_class:${each}`, t.statuses[each]] as const),
    ...STATUSES.map((each) => [`status:${each}`, each === "499" ? t.gone : each] as const),
  ];
  if (!options.some(([each]) => each === outcome)) options.push([outcome, outcome.replace(/^.*:/, "")]);
  return (
    <Select
      label={t.status}
      value={outcome}
      options={options}
      onChange={(value) => change(outcomeChanges(value))}
    />
  );
}

function KindFilter(): JSX.Element {
  const t = textsOf(REQUESTS).filters;
  const [query, change] = useQuery();
  const asked = query["error_kind"] ?? "";
  const isKnown = KINDS_BY_CULPRIT.some(([, kinds]) => kinds.includes(asked));
  return (
    <Field label={t.kind}>
      {(id) => (
        <select
          id={id}
          class="input"
          value={asked}
          onChange={(event) => change({ error_kind: event.currentTarget.value })}
        >
          <option value="">{textsOf(COMMON).all}</option>
          {asked === "" || isKnown ? null : <option value={asked}>{asked}</option>}
          {KINDS_BY_CULPRIT.map(([culprit, kinds]) => (
            <optgroup key={culprit} label={t.culprits[culprit]}>
              {kinds.map((kind) => (
                <option key={kind} value={kind}>
                  {kindName(kind)} · {kind}
                </option>
              ))}
            </optgroup>
          ))}
        </select>
      )}
    </Field>
  );
}

function UserFilter(): JSX.Element {
  const t = textsOf(REQUESTS).filters;
  const [query, change] = useQuery();
  const asked = query["user"] ?? "";
  return (
    <Field label={t.user}>
      {(id) => (
        <input
          id={id}
          class="input"
          type="search"
          autocomplete="off"
          spellcheck={false}
          maxLength={512}
          placeholder={textsOf(COMMON).all}
          value={asked}
          onChange={(event) => change({ user: event.currentTarget.value.trim() })}
        />
      )}
    </Field>
  );
}
