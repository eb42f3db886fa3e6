import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { useLocation, useRoute } from "preact-iso";
import type { Schemas } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Button, FaultNote, Page } from "../../ui/basics.tsx";
import "../access/access.css";
import { useFacts } from "../access/facts.ts";
import { ProjectDetails } from "./details.tsx";
import { ProjectList } from "./list.tsx";
import { ProjectForm } from "./project-form.tsx";
import { PROJECTS } from "./texts.ts";

const ROOT = "/console/projects";

/** The list, with one project's details at `/console/projects/ID`. */
export default function Projects(): JSX.Element {
  const t = textsOf(PROJECTS);
  const { route } = useLocation();
  const { params } = useRoute();
  const [round, setRound] = useState(0);
  const [form, setForm] = useState<Schemas["ProjectSchema"] | "new" | null>(null);
  const loadedFacts = useFacts();
  const facts = loadedFacts.data;
  const id = /^\d+$/.test(params["id"] ?? "") ? Number(params["id"]) : null;
  const again = (): void => setRound((before) => before + 1);
  return (
    <Page
      title={textsOf(SHELL).pages.projects}
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
      <ProjectList chosen={id} round={round} />
      {id === null ? null : (
        <ProjectDetails
          key={id}
          id={id}
          round={round}
          onChange={again}
          onEdit={setForm}
          onClose={() => route(ROOT, true)}
        />
      )}
      {form === null || facts === undefined ? null : (
        <ProjectForm
          existing={form === "new" ? null : form}
          currency={facts.currency}
          onDone={() => {
            setForm(null);
            again();
          }}
          onClose={() => setForm(null)}
        />
      )}
    </Page>
  );
}
