import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { Button, Checkbox, Field, Segments, Select } from "../../ui/basics.tsx";
import type { Model } from "./catalog.ts";
import { exampleSchema, exampleTools } from "./examples.ts";
import { DEFAULTS, type Format, type Problem, problemsOf, type Settings, TOOL_CHOICES } from "./settings.ts";
import { lanes, setSettings, settings } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

const FORMATS: readonly Format[] = ["text", "json_object", "json_schema"];

/** What holds for all models that are asked. */
export function Panel({ models }: { models: readonly Model[] }): JSX.Element {
  const t = textsOf(PLAYGROUND).settingsOf;
  const chosen = settings.value;
  const asked = models.filter((model) => lanes.value.some((lane) => lane.model === model.id));
  const without = (can: (model: Model) => boolean | null): string =>
    asked
      .filter((model) => can(model) === false)
      .map(({ id }) => id)
      .join(", ");
  const noTools = chosen.tools.trim() === "" ? "" : without((model) => model.tools);
  const noJson = chosen.format === "text" ? "" : without((model) => model.jsonMode);
  return (
    <div class="stack loose">
      <Checkbox label={t.stream} checked={chosen.stream} onChange={(stream) => setSettings({ stream })} />
      <div class="numbers">
        <NumberField name="temperature" label={t.temperature} />
        <NumberField name="topP" label={t.topP} />
        <NumberField name="maxTokens" label={t.maxTokens} />
        <NumberField name="seed" label={t.seed} />
      </div>
      <TextField name="stop" label={t.stop} hint={t.stopHint} rows={1} />
      <div class="stack">
        <TextField name="tools" label={t.tools} hint={t.toolsHint} example={exampleTools()} />
        {chosen.tools.trim() === "" ? null : (
          <Select
            label={t.toolChoice}
            value={chosen.toolChoice}
            options={[["", t.byDefault], ...TOOL_CHOICES.map((each) => [each, each] as const)]}
            onChange={(toolChoice) => setSettings({ toolChoice })}
          />
        )}
        {noTools === "" ? null : <p class="note warn small">{t.noTools(noTools)}</p>}
      </div>
      <div class="stack">
        <div class="field">
          <span class="label" aria-hidden="true">
            {t.format}
          </span>
          <Segments
            label={t.format}
            value={chosen.format}
            options={FORMATS.map((each) => [each, t.formats[each]] as const)}
            onChange={(format) => setSettings({ format })}
          />
        </div>
        {chosen.format === "json_schema" ? (
          <TextField name="schema" label={t.schema} hint={t.schemaHint} example={exampleSchema()} />
        ) : null}
        {noJson === "" ? null : <p class="note warn small">{t.noJson(noJson)}</p>}
      </div>
      <TextField name="further" label={t.further} hint={t.furtherHint} rows={3} />
      {chosen === DEFAULTS ? null : (
        <div>
          <Button look="plain" onClick={() => setSettings(DEFAULTS)}>
            {t.reset}
          </Button>
        </div>
      )}
    </div>
  );
}

type TextName = { [Name in keyof Settings]: Settings[Name] extends string ? Name : never }[keyof Settings];

function useProblem(name: TextName): string | undefined {
  const t = textsOf(PLAYGROUND).problems;
  const problem = problemsOf(settings.value)[name];
  return problem === undefined ? undefined : told(problem, t);
}

function told(problem: Problem, t: (typeof PLAYGROUND)["en"]["problems"]): string {
  return problem.kind === "json" ? t.json(problem.detail) : t[problem.kind];
}

function NumberField({ name, label }: { name: TextName; label: string }): JSX.Element {
  const t = textsOf(PLAYGROUND).settingsOf;
  const wrong = useProblem(name);
  return (
    <Field label={label} wrong={wrong}>
      {(id) => (
        <input
          id={id}
          class="input"
          inputMode="decimal"
          autocomplete="off"
          placeholder={t.notSent}
          aria-invalid={wrong !== undefined}
          value={settings.value[name]}
          onInput={(event) => setSettings({ [name]: event.currentTarget.value })}
        />
      )}
    </Field>
  );
}

interface TextFieldProps {
  name: TextName;
  label: string;
  hint: string;
  rows?: number;
  /** JSON that can be put in with one press. */
  example?: string;
}

const MOST_ROWS = 14;
const JSON_ROWS = 3;

function TextField({ name, label, hint, rows = JSON_ROWS, example }: TextFieldProps): JSX.Element {
  const t = textsOf(PLAYGROUND).settingsOf;
  const wrong = useProblem(name);
  const text = settings.value[name];
  const lines = text.split("\n").length;
  return (
    <div class="stack tight">
      <Field label={label} hint={hint} wrong={wrong}>
        {(id) => (
          <textarea
            id={id}
            class="input mono"
            rows={Math.min(Math.max(rows, lines), MOST_ROWS)}
            spellcheck={false}
            placeholder={t.notSent}
            aria-invalid={wrong !== undefined}
            value={text}
            onInput={(event) => setSettings({ [name]: event.currentTarget.value })}
          />
        )}
      </Field>
      {example === undefined ? null : (
        <div class="row">
          {text.trim() === "" ? (
            <Button look="plain" icon="plus" onClick={() => setSettings({ [name]: example })}>
              {t.example}
            </Button>
          ) : (
            <Button look="plain" onClick={() => setSettings({ [name]: "" })}>
              {t.clear}
            </Button>
          )}
        </div>
      )}
    </div>
  );
}
