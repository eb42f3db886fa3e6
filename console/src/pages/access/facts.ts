import { admin, unwrap } from "../../api/client.ts";
import { objectIn } from "../../lib/json.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { type Resource, useResource } from "../../lib/resource.ts";

/** What the gateway's config says about keys, money and addresses. */
export interface GatewayFacts {
  currency: string;
  mayCapture: boolean;
  /** Of the gateway itself, where the console is on a port of its own; null: the same as the console's. */
  gatewayPort: number | null;
}

const FALLBACK_CURRENCY = "CNY"; // as the config's own default

export function useFacts(): Resource<GatewayFacts> {
  return useResource("facts", async (signal) => {
    const { config } = await unwrap(admin.GET("/admin/v1/config", { signal }));
    const currency = objectIn(config["prices"])["currency"];
    const port = objectIn(config["server"])["port"];
    return {
      currency: typeof currency === "string" ? currency : FALLBACK_CURRENCY,
      mayCapture: objectIn(config["admin"])["capture"] === true,
      gatewayPort:
        typeof objectIn(config["admin"])["port"] === "number" && typeof port === "number" ? port : null,
    };
  });
}

/** Where clients ask. Behind a proxy a port of its own can only be guessed from the console's address. */
export function gatewayUrl(
  facts: GatewayFacts,
  place: Pick<Location, "origin" | "protocol" | "hostname">,
): string {
  if (facts.gatewayPort === null) return place.origin;
  return `${place.protocol}//${place.hostname}:${facts.gatewayPort}`;
}

/** One page of a list to choose from; beyond it, names are typed. */
export interface Choices {
  names: string[];
  hasMore: boolean;
}

export function useProjectNames(): Resource<Choices> {
  return useResource("projects", async (signal) => {
    const query = { limit: MAX_PAGE_ROWS };
    const page = await unwrap(admin.GET("/admin/v1/projects", { params: { query }, signal }));
    return { names: page.data.map((each) => each.name), hasMore: page.next_cursor !== null };
  });
}

export function useModelIds(): Resource<Choices> {
  return useResource("models", async (signal) => {
    const query = { limit: MAX_PAGE_ROWS };
    const page = await unwrap(admin.GET("/admin/v1/models", { params: { query }, signal }));
    return { names: page.data.map((each) => each.id), hasMore: page.next_cursor !== null };
  });
}
