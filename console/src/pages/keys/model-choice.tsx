import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { textsOf } from "../../i18n/texts.ts";
import { Checkbox, TextField } from "../../ui/basics.tsx";
import { KEYS } from "./texts.ts";

interface ModelChoiceProps {
  mayUseAll: boolean;
  chosen: readonly string[];
  /** Those of the config. */
  known: readonly string[];
  wrong: string | undefined;
  onChange: (mayUseAll: boolean, chosen: string[]) => void;
}

/** From here on, one looks for a model by its name. */
const MANY = 12;

/** Which models a key may use. */
export function ModelChoice({ mayUseAll, chosen, known, wrong, onChange }: ModelChoiceProps): JSX.Element {
  const t = textsOf(KEYS).form;
  const [looked, setLooked] = useState("");
  const all = [...new Set([...known, ...chosen])];
  const shown = all.filter((model) => model.includes(looked.trim()));
  return (
    <fieldset class="part">
      <legend>{t.models}</legend>
      <Checkbox
        label={t.allModels}
        checked={mayUseAll}
        onChange={(checked) => onChange(checked, [...chosen])}
      />
      {mayUseAll ? null : (
        <>
          {all.length > MANY ? (
            <TextField label={t.findModel} type="search" value={looked} onInput={setLooked} />
          ) : null}
          <div class="choices">
            {shown.map((model) => (
              <Checkbox
                key={model}
                label={known.includes(model) ? model : t.notInConfig(model)}
                checked={chosen.includes(model)}
                onChange={(checked) =>
                  onChange(false, checked ? [...chosen, model] : chosen.filter((each) => each !== model))
                }
              />
            ))}
          </div>
          {wrong === undefined ? null : (
            <p class="field">
              <span class="wrong small" role="alert">
                {wrong}
              </span>
            </p>
          )}
        </>
      )}
    </fieldset>
  );
}
