import type { JSX } from "preact";
import { system } from "../../api/system.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Button, Field, Select } from "../../ui/basics.tsx";
import { KeyPicker, ModelPicker, ProjectPicker } from "../../ui/picker.tsx";
import { TimeField } from "../../ui/timefield.tsx";
import { BUCKETS, type Question, TIMES } from "./question.ts";
import { USAGE } from "./texts.ts";

const APIS = ["chat", "completions", "messages", "responses", "embeddings", "rerank"] as const;

interface FilterProps {
  question: Question;
  change: (changes: Record<string, string | null>) => void;
}

export function Filter({ question, change }: FilterProps): JSX.Element {
  const t = textsOf(USAGE);
  const common = textsOf(COMMON);
  const { filters, time } = question;
  return (
    <div class="stack">
      <div class="filters">
        <Select
          label={t.time}
          value={time}
          options={TIMES.map((each) => [each, t.times[each]])}
          onChange={(value) => change({ time: value, since: null, until: null })}
        />
        {time === "own" ? (
          <>
            <TimeField label={common.from} value={question.since} onChange={(since) => change({ since })} />
            <TimeField label={common.until} value={question.until} onChange={(until) => change({ until })} />
          </>
        ) : null}
        <Select
          label={t.bucket}
          value={question.bucket}
          options={BUCKETS.map((each) => [each, t.buckets[each]])}
          onChange={(bucket) => change({ bucket })}
        />
        <ModelPicker
          label={t.dimensions.model}
          value={filters.model}
          onChange={(model) => change({ model })}
        />
        <KeyPicker
          label={t.dimensions.key}
          value={filters.key_id}
          onChange={(id) => change({ key_id: id })}
        />
        <ProjectPicker
          label={t.dimensions.project}
          value={filters.project_id}
          onChange={(id) => change({ project_id: id })}
        />
        <Field label={t.user}>
          {(id) => (
            <input
              id={id}
              class="input"
              placeholder={common.all}
              value={filters.user ?? ""}
              onChange={(event) => change({ user: event.currentTarget.value })}
            />
          )}
        </Field>
        <Select
          label={t.api}
          value={APIS.find((each) => each === filters.api) ?? ""}
          options={[["", common.all] as const, ...APIS.map((each) => [each, each] as const)]}
          onChange={(api) => change({ api })}
        />
        {Object.values(filters).some((value) => value !== null) ? (
          <Button
            look="plain"
            icon="close"
            onClick={() => change(Object.fromEntries(Object.keys(filters).map((name) => [name, null])))}
          >
            {common.reset}
          </Button>
        ) : null}
      </div>
      <p class="muted small">
        {system.value === null ? null : t.zone(system.value.timezone)} {t.wholeHours}
      </p>
    </div>
  );
}
