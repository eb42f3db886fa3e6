import type { JSX } from "preact";
import { useLocation, useRoute } from "preact-iso";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Page } from "../../ui/basics.tsx";
import { RequestDetails } from "./details.tsx";
import { RequestExport } from "./export.tsx";
import { Filters } from "./filters.tsx";
import { RequestList } from "./list.tsx";
import "./page.css";

const ROOT = "/console/requests";

/** The ledger, with one request's details at `/console/requests/REQUEST_ID`. */
export default function Requests(): JSX.Element {
  const { query, route } = useLocation();
  const { params } = useRoute();
  const id = params["id"] ?? null;
  const search = new URLSearchParams(query).toString();
  const at = (path: string): string => (search === "" ? path : `${path}?${search}`);
  return (
    <Page title={textsOf(SHELL).pages.requests} actions={<RequestExport />}>
      <Filters onId={(found) => route(at(`${ROOT}/${encodeURIComponent(found)}`))} />
      <RequestList chosen={id} pathOf={(found) => at(`${ROOT}/${encodeURIComponent(found)}`)} />
      {id === null ? null : <RequestDetails key={id} id={id} onClose={() => route(at(ROOT), true)} />}
    </Page>
  );
}
