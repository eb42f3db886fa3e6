import type { ComponentType, JSX } from "preact";
import { lazy } from "preact-iso";
import { ALWAYS_THERE, isConnected, reach } from "../api/connection.ts";
import { Outdated } from "../api/fault.ts";
import { useResource } from "../lib/resource.ts";
import { Loaded } from "../ui/table.tsx";

type Module = { default: ComponentType };

/**
 * A page whose code comes when it is first opened; the page before stays until then. Where it does not come,
 * that is told, and it is asked for again once the gateway answers.
 */
export function later(load: () => Promise<Module>): ComponentType {
  function Again(): JSX.Element {
    const resource = useResource(`connected: ${isConnected.value}`, () =>
      load().catch(async () => {
        await reach(ALWAYS_THERE, { method: "HEAD" });
        // The gateway answers, but has no such file any more: their names change with what is in them.
        throw new Outdated();
      }),
    );
    return <Loaded resource={resource}>{({ default: Found }) => <Found />}</Loaded>;
  }
  return lazy(() => load().catch((): Module => ({ default: Again })));
}
