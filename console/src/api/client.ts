import createClient from "openapi-fetch";
import { reach } from "./connection.ts";
import { faultOf } from "./fault.ts";
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

/** The data of an answer. Throws ApiFault, and ends the session where its key is not accepted any more. */
export async function unwrap<Data>(
  answer: Promise<{ data?: Data; error?: unknown; response: Response }>,
): Promise<Data> {
  const { data, error, response } = await answer;
  if (response.ok && data !== undefined) return data;
  const fault = faultOf(response, error);
  if (fault.status === 401) end(fault);
  throw fault;
}
