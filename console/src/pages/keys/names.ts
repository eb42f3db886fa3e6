import type { Schemas } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { KEYS } from "./texts.ts";

/** What a key is called. The command line makes keys without a name. */
export function nameOf(key: Pick<Schemas["KeySchema"], "id" | "name">): string {
  return key.name === "" ? textsOf(KEYS).unnamed(String(key.id)) : key.name;
}
