/** What the catalog says that this page heeds. No DOM here. */
import { isObject, textsIn } from "../../lib/json.ts";
import type { Thinking } from "./settings.ts";

export interface Model {
  id: string;
  owner: string;
  takesPictures: boolean;
  contextWindow: number | null;
  /** False: surely none; null: not known. */
  tools: boolean | null;
  jsonMode: boolean | null;
  thinking: {
    dialect: string;
    /** Which the switch may ask for. */
    modes: readonly ("on" | "off")[];
    isSwitchEffective: boolean;
  };
}

/** The models for chats out of `GET /v1/model-catalog`, in its order. */
export function modelsOf(answer: unknown): Model[] {
  const data = isObject(answer) && Array.isArray(answer["data"]) ? answer["data"] : [];
  const entries: unknown[] = data;
  return entries
    .filter(isObject)
    .filter((entry) => entry["kind"] === "chat")
    .map(modelOf);
}

function modelOf(entry: Record<string, unknown>): Model {
  const modalities = isObject(entry["modalities"]) ? entry["modalities"] : {};
  const capabilities = isObject(entry["capabilities"]) ? entry["capabilities"] : {};
  const thinking = isObject(entry["thinking"]) ? entry["thinking"] : {};
  const window = entry["context_window"];
  return {
    id: String(entry["id"]),
    owner: typeof entry["owned_by"] === "string" ? entry["owned_by"] : "",
    takesPictures: textsIn(modalities["input"]).includes("image"),
    contextWindow: typeof window === "number" ? window : null,
    tools: flagOf(capabilities["tools"]),
    jsonMode: flagOf(capabilities["json_mode"]),
    thinking: {
      dialect: typeof thinking["dialect"] === "string" ? thinking["dialect"] : "native",
      modes: textsIn(thinking["modes"]).filter((each) => each === "on" || each === "off"),
      isSwitchEffective: thinking["switch_effective"] === true,
    },
  };
}

function flagOf(value: unknown): boolean | null {
  return typeof value === "boolean" ? value : null;
}

/** Why a model has no switch; null: it has one. */
export type NoSwitch = "native" | "always" | "never";

export function noSwitchOf(model: Model): NoSwitch | null {
  const { dialect, modes, isSwitchEffective } = model.thinking;
  if (isSwitchEffective) return null;
  if (modes.length === 1) return modes[0] === "on" ? "always" : "never";
  return dialect === "native" ? "native" : "never";
}

/** What may be chosen for a model. Of one that the catalog does not know, everything. */
export function thinkingChoices(model: Model | undefined): readonly Thinking[] {
  if (model === undefined) return ["model", "on", "off"];
  return noSwitchOf(model) === null ? ["model", ...model.thinking.modes] : ["model"];
}

/** Whether `reasoning_effort` can mean anything to it. */
export function takesEffort(model: Model | undefined): boolean {
  return model === undefined || noSwitchOf(model) !== "never";
}
