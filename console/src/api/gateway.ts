import { reach } from "./connection.ts";
import { faultOf } from "./fault.ts";

/** Ask the gateway's own API, as any client does. Throws ApiFault for what is not a success, and Unreachable. */
export async function askGateway(path: string, secret: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set("authorization", `Bearer ${secret}`);
  const response = await reach(path, { ...init, headers });
  if (!response.ok) throw faultOf(response, await response.json().catch(() => null));
  return response;
}
