import { effect, signal } from "@preact/signals";
import type { Schemas } from "../../api/client.ts";
import { session } from "../../api/session.ts";

/** A secret that somebody has to see now. */
export interface ShownSecret {
  key: Schemas["NewKeySchema"];
  isRotated: boolean;
}

/** Only here: not in the address, not in a storage. It outlasts a "back" that leaves the page by accident. */
export const shownSecret = signal<ShownSecret | null>(null);

effect(() => {
  if (session.value === null) shownSecret.value = null;
});
