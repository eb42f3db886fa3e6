import { ApiFault, jsonOf } from "../../api/fault.ts";
import { askGateway } from "../../api/gateway.ts";
import { end } from "../../api/session.ts";
import { now } from "../../lib/clock.ts";
import { modelsIn, type OwnModel } from "./models.ts";
import { type OwnUsage, ownUsageIn } from "./own-usage.ts";

export interface Mine {
  usage: OwnUsage;
  models: OwnModel[];
  /** When it was asked. */
  at: string;
}

/** What the gateway tells a model key of itself. Ends the session where the key is not accepted any more. */
export async function loadMine(secret: string, signal: AbortSignal): Promise<Mine> {
  const ask = async (path: string): Promise<unknown> =>
    jsonOf(await askGateway(path, secret, { signal, cache: "no-store" }));
  try {
    const [usage, catalog] = await Promise.all([ask("/v1/usage/me"), ask("/v1/model-catalog")]);
    return { usage: ownUsageIn(usage), models: modelsIn(catalog), at: new Date(now()).toISOString() };
  } catch (error) {
    if (error instanceof ApiFault && error.status === 401) end(error);
    throw error;
  }
}
