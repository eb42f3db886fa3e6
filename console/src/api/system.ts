import { effect, signal } from "@preact/signals";
import { admin, type Schemas, unwrap } from "./client.ts";
import { isFault } from "./fault.ts";
import { isAdmin } from "./session.ts";

/** What the gateway is, as far as an admin knows it: asked once after the sign-in; null: not known. */
export const system = signal<Schemas["SystemSchema"] | null>(null);

effect(() => {
  if (!isAdmin.value) {
    system.value = null;
    return;
  }
  unwrap(admin.GET("/admin/v1/system")).then(
    (found) => {
      system.value = found;
    },
    (error) => {
      // Pages do without it; they have faults of their own to tell.
      if (!isFault(error)) throw error;
    },
  );
});
