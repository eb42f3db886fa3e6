import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import type { Schemas } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Button, FaultNote, Page } from "../../ui/basics.tsx";
import { toast } from "../../ui/toast.tsx";
import "../access/access.css";
import { useFacts } from "../access/facts.ts";
import { KeyDetails } from "./details.tsx";
import { KeyForm } from "./key-form.tsx";
import { KeyList } from "./list.tsx";
import { nameOf } from "./names.ts";
import { shownSecret } from "./secret.ts";
import { SecretDialog } from "./secret-dialog.tsx";
import { KEYS } from "./texts.ts";

const ROOT = "/console/keys";

/** The list, with one key's details at `/console/keys/ID`. */
export default function Keys(): JSX.Element {
  const t = textsOf(KEYS);
  const { query, route } = useLocation();
  const { params } = useRoute();
  const [round, setRound] = useState(0);
  const [form, setForm] = useState<Schemas["KeyDetail"] | "new" | null>(null);
  const loadedFacts = useFacts();
  const facts = loadedFacts.data;
  const id = /^\d+$/.test(params["id"] ?? "") ? Number(params["id"]) : null;
  const again = (): void => setRound((before) => before + 1);
  const search = new URLSearchParams(query).toString();
  const show = (key: Schemas["NewKeySchema"], isRotated: boolean): void => {
    shownSecret.value = { key, isRotated };
    again();
  };
  return (
    <Page
      title={textsOf(SHELL).pages.keys}
      actions={
        mayChange.value ? (
          <Button look="primary" icon="plus" onClick={() => setForm("new")}>
            {t.create}
          </Button>
        ) : undefined
      }
    >
      {loadedFacts.fault === undefined ? null : (
        <FaultNote fault={loadedFacts.fault} onRetry={loadedFacts.reload} />
      )}
      <KeyList chosen={id} round={round} onCreate={() => setForm("new")} />
      {id === null ? null : (
        <KeyDetails
          key={id}
          id={id}
          facts={facts}
          round={round}
          onChange={again}
          onEdit={setForm}
          onRotated={(key) => show(key, true)}
          onClose={() => route(search === "" ? ROOT : `${ROOT}?${search}`, true)}
        />
      )}
      {form === null || facts === undefined ? null : (
        <KeyForm
          existing={form === "new" ? null : form}
          project={query["project"] ?? "default"}
          currency={facts.currency}
          onCreated={(key) => {
            setForm(null);
            toast(t.done.created(nameOf(key)));
            show(key, false);
          }}
          onChanged={() => {
            setForm(null);
            again();
          }}
          onClose={() => setForm(null)}
        />
      )}
      {shownSecret.value === null ? null : <SecretDialog shown={shownSecret.value} facts={facts} />}
    </Page>
  );
}
