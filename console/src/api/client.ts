import createClient from "openapi-fetch";
import { reach } from "./connection.ts";
import { faultOf, isFault, Unreadable } from "./fault.ts";
import type { components, paths } from "./schema.d.ts";
import { end, session } from "./session.ts";

export type Schemas = components["schemas"];

/** The admin API: `admin.GET(path, {params, signal})`. Give what it returns to `unwrap`. */
export const admin = createClient<paths>({ baseUrl: "/", fetch: (request) => reach(request) });

admin.use({
  onRequest({ request }) {
    if (session.value !== null) request.headers.set("authorization", `Bearer ${session.value.secret}`);
    return request;
  },
});

/**
 * The data of an answer. Throws ApiFault, Unreachable and Unreadable; an abort passes as it is. Ends the session
 * where its key is not accepted any more.
 */
export async function unwrap<Data>(
  answer: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await answer.catch((error: unknown) => {
    if (isFault(error) || (error instanceof DOMException && error.name === "AbortError")) throw error;
    throw new Unreadable();
  });
  if (response.ok && data !== undefined) return data;
  if (response.ok) throw new Unreadable();
  const fault = faultOf(response, error);
  if (fault.status === 401) end(fault);
  throw fault;
}
