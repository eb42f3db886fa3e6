/** The models that a key may use, out of `GET /v1/model-catalog`. No DOM here. */
import { numberIn, objectIn, objectsIn, textIn, textsIn } from "../../lib/json.ts";

export type Thinking = "switch" | "always" | "never" | "unknown";

export interface OwnModel {
  id: string;
  /** `chat`, `embedding` or `rerank`. */
  kind: string;
  takesPictures: boolean;
  contextWindow: number | null;
  /** Null: it is not known. */
  tools: boolean | null;
  thinking: Thinking;
}

export function modelsIn(answer: unknown): OwnModel[] {
  return objectsIn(objectIn(answer)["data"]).map((entry) => {
    const capabilities = objectIn(entry["capabilities"]);
    const tools = capabilities["tools"];
    return {
      id: textIn(entry["id"]) ?? "",
      kind: textIn(entry["kind"]) ?? "chat",
      takesPictures: textsIn(objectIn(entry["modalities"])["input"]).includes("image"),
      contextWindow: numberIn(entry["context_window"]),
      tools: typeof tools === "boolean" ? tools : null,
      thinking: thinkingOf(objectIn(entry["thinking"]), capabilities["reasoning"]),
    };
  });
}

function thinkingOf(thinking: Record<string, unknown>, reasons: unknown): Thinking {
  if (thinking["switch_effective"] === true) return "switch";
  const modes = textsIn(thinking["modes"]);
  if (modes.length === 1) return modes[0] === "on" ? "always" : "never";
  return reasons === false ? "never" : "unknown";
}
