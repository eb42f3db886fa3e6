import { admin, unwrap } from "../api/client.ts";
import { isAdmin } from "../api/session.ts";
import { SHELL } from "../i18n/shell.ts";
import { MAX_PAGE_ROWS } from "../lib/paged.ts";
import { placesOf } from "./routes.ts";

export type Kind = "page" | "key" | "project" | "model" | "request";

/** Something that has a page of its own. */
export interface Destination {
  kind: Kind;
  name: string;
  path: string;
}

const MOST_OF_A_KIND = 6;
const REQUEST_ID = /^req_[\w-]+$/;

/** Pages whose name in either language has the text. */
export function pagesFor(text: string, language: "en" | "zh"): Destination[] {
  const wanted = text.toLowerCase();
  return placesOf(isAdmin.value)
    .filter(({ name }) => [SHELL.en, SHELL.zh].some((t) => t.pages[name].toLowerCase().includes(wanted)))
    .map(({ name, path }) => ({ kind: "page", name: SHELL[language].pages[name], path }));
}

/** A request by the id that was pasted. */
export function requestFor(text: string): Destination[] {
  if (!isAdmin.value || !REQUEST_ID.test(text)) return [];
  return [{ kind: "request", name: text, path: `/console/requests/${encodeURIComponent(text)}` }];
}

/** Projects and models, the first page of each; keys are looked for by the gateway. */
export async function listed(signal: AbortSignal): Promise<Destination[]> {
  const params = { query: { limit: MAX_PAGE_ROWS } };
  const [projects, models] = await Promise.all([
    unwrap(admin.GET("/admin/v1/projects", { params, signal })),
    unwrap(admin.GET("/admin/v1/models", { params, signal })),
  ]);
  return [
    ...projects.data.map(
      ({ id, name }): Destination => ({ kind: "project", name, path: `/console/projects/${id}` }),
    ),
    ...models.data.map(
      ({ id }): Destination => ({
        kind: "model",
        name: id,
        path: `/console/models/${encodeURIComponent(id)}`,
      }),
    ),
  ];
}

/** Those of a list whose name has the text, a few of each kind. */
export function among(all: readonly Destination[], text: string): Destination[] {
  const wanted = text.toLowerCase();
  const found = all.filter(({ name }) => name.toLowerCase().includes(wanted));
  return (["project", "model"] as const).flatMap((kind) =>
    found.filter((each) => each.kind === kind).slice(0, MOST_OF_A_KIND),
  );
}

/** Keys by a part of the name, the owner or the prefix. */
export async function keysFor(name: string, signal: AbortSignal): Promise<Destination[]> {
  const query = { name, limit: MOST_OF_A_KIND };
  const page = await unwrap(admin.GET("/admin/v1/keys", { params: { query }, signal }));
  return page.data.map(({ id, name: own, prefix }) => ({
    kind: "key",
    name: own === "" ? prefix : own,
    path: `/console/keys/${id}`,
  }));
}
