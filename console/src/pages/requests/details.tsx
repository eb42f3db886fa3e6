import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { ApiFault } from "../../api/fault.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Section } from "../../ui/basics.tsx";
import { Code, CopyButton } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Fact } from "../../ui/facts.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { Bodies } from "./bodies.tsx";
import { Outcome } from "./outcome.tsx";
import { REQUESTS } from "./texts.ts";
import { Timing } from "./timing.tsx";
import { Attempts } from "./tries.tsx";
import { Usage } from "./usage.tsx";

export const FIRST_ERROR = 400;

export type Detail = Schemas["RequestDetail"];

/** All about one request, beside the list. */
export function RequestDetails({ id, onClose }: { id: string; onClose: () => void }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const request = useResource(id, (signal) =>
    unwrap(admin.GET("/admin/v1/requests/{request_id}", { params: { path: { request_id: id } }, signal })),
  );
  const { fault } = request;
  return (
    <Dialog title={t.title} look="drawer" onClose={onClose}>
      <div class="row mono small">
        <span class="grow id-text">{id}</span>
        <CopyButton text={id} />
      </div>
      {fault instanceof ApiFault && fault.status === 404 ? (
        <Empty title={t.notFound}>
          <p>{t.notFoundWhat}</p>
          <a href="/console/requests">{t.back}</a>
        </Empty>
      ) : (
        <Loaded resource={request}>{(detail) => <Parts of={detail} />}</Loaded>
      )}
    </Dialog>
  );
}

function Parts({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const json = JSON.stringify(request, null, 2);
  return (
    <div class="stack loose">
      <Outcome of={request} />
      <Facts of={request} />
      <Section title={t.timing}>
        <Timing of={request} />
      </Section>
      <Section title={t.attempts}>
        <Attempts of={request} />
      </Section>
      <Section title={t.usage}>
        <Usage of={request} />
      </Section>
      <Section title={t.thinking}>
        <Thinking of={request} />
      </Section>
      <Section title={t.bodies}>
        <Bodies of={request} />
      </Section>
      <details class="raw">
        <summary>{t.raw}</summary>
        <Code text={json} label={t.raw} />
      </details>
    </div>
  );
}

function Facts({ of: request }: { of: Detail }): JSX.Element {
  const all = textsOf(REQUESTS);
  const t = all.details;
  const { key_id, key_name, project_id, project_name, user, model, upstream } = request;
  return (
    <dl class="facts">
      <Fact title={t.time}>
        <Time utc={request.time} withSeconds />
      </Fact>
      <Fact title={t.model}>
        {model === null ? null : <a href={`/console/models/${encodeURIComponent(model)}`}>{model}</a>}
      </Fact>
      <Fact title={t.upstream}>{upstream}</Fact>
      <Fact title={t.api}>
        {request.api === null ? null : `${request.api}, ${request.stream ? t.stream : t.whole}`}
      </Fact>
      <Fact title={t.key}>
        {key_id === null ? null : (
          <a href={`/console/keys/${key_id}`}>
            {key_name === null ? all.goneKey(String(key_id)) : key_name || `#${key_id}`}
          </a>
        )}
      </Fact>
      <Fact title={t.project}>
        {project_id === null ? null : (
          <a href={`/console/projects/${project_id}`}>
            {project_name ?? all.goneProject(String(project_id))}
          </a>
        )}
      </Fact>
      <Fact title={t.user}>
        {user === null ? null : (
          <>
            {user}
            <div class="small">
              <a href={`/console/requests?${new URLSearchParams({ user })}`}>{t.sameUser}</a>
            </div>
          </>
        )}
      </Fact>
      <Fact title={t.finish}>
        {request.finish_reason === null ? null : <code>{request.finish_reason}</code>}
      </Fact>
    </dl>
  );
}

function Thinking({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const { thinking_asked: asked, thinking_sent: sent } = request;
  return (
    <dl class="facts">
      <Fact title={t.asked}>{asked === "on" || asked === "off" ? t.switches[asked] : t.nothing}</Fact>
      <Fact title={t.sent}>
        {sent === null ? t.notSent : sent === "ignored" ? t.ignored : <code>{sent}</code>}
      </Fact>
      <Fact title={t.observed}>
        {request.thinking_observed ? t.reasoned : request.status < FIRST_ERROR ? t.silent : t.noAnswer}
      </Fact>
    </dl>
  );
}
