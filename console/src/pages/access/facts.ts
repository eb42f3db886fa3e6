import { admin, unwrap } from "../../api/client.ts";
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
    const currency = memberOf(config, "prices", "currency");
    const port = memberOf(config, "server", "port");
    return {
      currency: typeof currency === "string" ? currency : FALLBACK_CURRENCY,
      mayCapture: memberOf(config, "admin", "capture") === true,
      gatewayPort:
        typeof memberOf(config, "admin", "port") === "number" && typeof port === "number" ? port : null,
    };
  });
}

function memberOf(config: Record<string, unknown>, table: string, name: string): unknown {
  const found = config[table];
  return typeof found === "object" && found !== null
    ? Object.entries(found).find(([each]) => each === name)?.[1]
    : undefined;
}

/** Where clients ask. Behind a proxy a port of its own can only be guessed from the console's address. */
export function gatewayUrl(
  facts: GatewayFacts,
  place: Pick<Location, "origin" | "protocol" | "hostname">,
): string {
  if (facts.gatewayPort === null) return place.origin;
  return `${place.protocol}//${place.hostname}:${facts.gatewayPort}`;
}

/** The most entries of a list to choose from; beyond it, names are typed. */
const CHOICES = 500;

export interface Choices {
  names: string[];
  hasMore: boolean;
}

export function useProjectNames(): Resource<Choices> {
  return useResource("projects", async (signal) => {
    const query = { limit: CHOICES };
    const page = await unwrap(admin.GET("/admin/v1/projects", { params: { query }, signal }));
    return { names: page.data.map((each) => each.name), hasMore: page.next_cursor !== null };
  });
}

export function useModelIds(): Resource<Choices> {
  return useResource("models", async (signal) => {
    const query = { limit: CHOICES };
    const page = await unwrap(admin.GET("/admin/v1/models", { params: { query }, signal }));
    return { names: page.data.map((each) => each.id), hasMore: page.next_cursor !== null };
  });
}
