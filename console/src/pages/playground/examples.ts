import { textsOf } from "../../i18n/texts.ts";
import { addDraft, type Draft, entries, setDraft, setSettings } from "./store.ts";
import { PLAYGROUND } from "./texts.ts";

/** A tool for `tools`, as JSON. */
export function exampleTools(): string {
  const tool = {
    type: "function",
    function: {
      name: "get_weather",
      description: "The weather at a place right now.",
      parameters: {
        type: "object",
        properties: { city: { type: "string" } },
        required: ["city"],
      },
    },
  };
  return JSON.stringify([tool], null, 2);
}

/** A `json_schema` for `response_format`, as JSON. */
export function exampleSchema(): string {
  const city = {
    name: "city",
    strict: true,
    schema: {
      type: "object",
      properties: {
        name: { type: "string" },
        population: { type: "integer" },
        famous_for: { type: "array", items: { type: "string" } },
      },
      required: ["name", "population", "famous_for"],
      additionalProperties: false,
    },
  };
  return JSON.stringify(city, null, 2);
}

export const EXAMPLES = ["plain", "tool", "schema", "system"] as const;
export type Example = (typeof EXAMPLES)[number];

/** Fill the page with an example, ready to be sent. */
export function begin(example: Example): void {
  const { questions } = textsOf(PLAYGROUND).empty;
  const ask = (text: string): void => setDraft({ role: "user", text } satisfies Partial<Draft>);
  if (example === "tool") setSettings({ tools: exampleTools(), format: "text" });
  if (example === "schema") setSettings({ tools: "", format: "json_schema", schema: exampleSchema() });
  if (example === "system" && entries.value.length === 0) {
    setDraft({ role: "system", text: questions.systemText });
    addDraft();
  }
  ask(questions[example]);
}
