import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { laidOut } from "../../lib/json.ts";
import { useResource } from "../../lib/resource.ts";
import { Button } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { Loaded } from "../../ui/table.tsx";
import type { Detail } from "./details.tsx";
import { REQUESTS } from "./texts.ts";

/** What was asked and answered: only of a request that was captured, and only when somebody wants to read it. */
export function Bodies({ of: request }: { of: Detail }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const lease = request.captured_in;
  const [isWanted, setWanted] = useState(false);
  if (lease === null) {
    return (
      <p class="muted">
        {t.noBodies}{" "}
        {request.key_id === null ? null : <a href={`/console/keys/${request.key_id}`}>{t.toKey}</a>}
      </p>
    );
  }
  return (
    <>
      <div class="note warn">
        {t.captured} {mayChange.value ? t.personal : t.mayNot}
      </div>
      {isWanted ? <Captured leaseId={lease} requestId={request.request_id} /> : null}
      {mayChange.value && !isWanted ? (
        <div>
          <Button onClick={() => setWanted(true)}>{t.read}</Button>
        </div>
      ) : null}
    </>
  );
}

function Captured({ leaseId, requestId }: { leaseId: number; requestId: string }): JSX.Element {
  const t = textsOf(REQUESTS).details;
  const path = { lease_id: leaseId, request_id: requestId };
  const bodies = useResource(requestId, (signal) =>
    unwrap(admin.GET("/admin/v1/captures/{lease_id}/requests/{request_id}", { params: { path }, signal })),
  );
  return (
    <Loaded resource={bodies}>
      {({ request_body, response_body, is_cut }) => (
        <>
          {is_cut ? <p class="muted small">{t.cut}</p> : null}
          <h3>{t.requestBody}</h3>
          <Code text={laidOut(request_body)} label={t.requestBody} />
          <h3>{t.responseBody}</h3>
          <Code text={laidOut(response_body)} label={t.responseBody} />
        </>
      )}
    </Loaded>
  );
}
