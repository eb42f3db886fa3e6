import type { JSX } from "preact";
import { textsOf } from "../../i18n/texts.ts";
import { shortened } from "../../lib/format.ts";
import { Field, Segments, Select } from "../../ui/basics.tsx";
import { IconButton } from "../../ui/icon-button.tsx";
import { type Model, noSwitchOf, takesEffort, thinkingChoices } from "./catalog.ts";
import { EFFORTS, type Lane } from "./settings.ts";
import { lanes, removeLane, setLane } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

/** Which models are asked, and how each thinks. */
export function Lanes({ models }: { models: readonly Model[] }): JSX.Element {
  return (
    <div class={`lanes of-${lanes.value.length}`}>
      {lanes.value.map((lane, index) => (
        <LaneHead key={index} lane={lane} index={index} models={models} />
      ))}
    </div>
  );
}

interface LaneHeadProps {
  lane: Lane;
  index: number;
  models: readonly Model[];
}

function LaneHead({ lane, index, models }: LaneHeadProps): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const model = models.find((each) => each.id === lane.model);
  const why = model === undefined ? null : noSwitchOf(model);
  const choices = thinkingChoices(model);
  const label = index === 0 ? t.models.label : t.models.second;
  return (
    <section class="panel stack lane" aria-label={`${label} ${lane.model}`}>
      <div class="row lane-model">
        <ModelSelect label={label} lane={lane} models={models} onChange={(id) => choose(index, id, models)} />
        {lanes.value.length > 1 ? (
          <IconButton icon="close" label={t.models.remove(lane.model)} onClick={() => removeLane(index)} />
        ) : null}
      </div>
      <div class="row lane-thinking">
        <div class="field">
          <span class="label" aria-hidden="true">
            {t.thinking.label}
          </span>
          <Segments
            label={t.thinking.label}
            value={lane.thinking}
            options={choices.map((each) => [each, t.thinking.choices[each]] as const)}
            onChange={(thinking) => setLane(index, { thinking })}
          />
        </div>
        {takesEffort(model) ? (
          <Select
            label={t.thinking.effort}
            value={lane.effort}
            options={[["", t.thinking.noEffort], ...EFFORTS.map((each) => [each, each] as const)]}
            onChange={(effort) => setLane(index, { effort })}
          />
        ) : null}
        {model === undefined ? null : <Facts model={model} />}
      </div>
      {why === null ? null : <p class="muted small">{t.thinking.why[why]}</p>}
    </section>
  );
}

function Facts({ model }: { model: Model }): JSX.Element {
  const t = textsOf(PLAYGROUND).models;
  const facts = [
    model.contextWindow === null ? null : t.window(shortened(model.contextWindow)),
    model.takesPictures ? t.pictures : null,
  ];
  return <span class="muted small facts-line">{facts.filter((each) => each !== null).join(" · ")}</span>;
}

/** A switch that the new model has not got goes back to the model's own way. */
function choose(index: number, id: string, models: readonly Model[]): void {
  const model = models.find((each) => each.id === id);
  const lane = lanes.value[index];
  const isKept = lane !== undefined && thinkingChoices(model).includes(lane.thinking);
  setLane(index, {
    model: id,
    ...(isKept ? {} : { thinking: "model" }),
    ...(takesEffort(model) ? {} : { effort: "" }),
  });
}

interface ModelSelectProps {
  label: string;
  lane: Lane;
  models: readonly Model[];
  onChange: (id: string) => void;
}

function ModelSelect({ label, lane, models, onChange }: ModelSelectProps): JSX.Element {
  const t = textsOf(PLAYGROUND).models;
  const owners = [...new Set(models.map((each) => each.owner))];
  const isKnown = models.some((each) => each.id === lane.model);
  return (
    <Field label={label}>
      {(id) => (
        <select
          id={id}
          class="input"
          value={lane.model}
          onChange={(event) => onChange(event.currentTarget.value)}
        >
          {isKnown || lane.model === "" ? null : <option value={lane.model}>{t.unknown(lane.model)}</option>}
          {owners.map((owner) => (
            <optgroup key={owner} label={owner === "" ? "–" : owner}>
              {models
                .filter((each) => each.owner === owner)
                .map((each) => (
                  <option key={each.id} value={each.id}>
                    {each.id}
                  </option>
                ))}
            </optgroup>
          ))}
        </select>
      )}
    </Field>
  );
}
