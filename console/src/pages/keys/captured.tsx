import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { bytes } from "../../lib/format.ts";
import { laidOut } from "../../lib/json.ts";
import { useResource } from "../../lib/resource.ts";
import { Button, Section, Tag } from "../../ui/basics.tsx";
import { Code } from "../../ui/copy.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { type Column, Loaded, Pager, Table, usePages } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import { KEYS } from "./texts.ts";

type Captured = Schemas["CapturedSchema"];

const PAGE_SIZE = 20;

interface CapturedDialogProps {
  leaseId: number;
  onClose: () => void;
}

/** What a lease kept; one request at a time is read. */
export function CapturedDialog({ leaseId, onClose }: CapturedDialogProps): JSX.Element {
  const t = textsOf(KEYS).capture;
  const [reading, setReading] = useState<Captured | null>(null);
  const pages = usePages(String(leaseId));
  const requests = useResource(`${leaseId} ${pages.cursor}`, (signal) => {
    const query = { limit: PAGE_SIZE, ...(pages.cursor === null ? {} : { cursor: pages.cursor }) };
    const path = { lease_id: leaseId };
    return unwrap(admin.GET("/admin/v1/captures/{lease_id}/requests", { params: { path, query }, signal }));
  });
  const columns: readonly Column<Captured>[] = [
    {
      name: "id",
      title: t.columns.id,
      // Only a key that may change things may read bodies.
      cell: (row) =>
        mayChange.value ? (
          <Button look="plain" aria-label={t.read(row.request_id)} onClick={() => setReading(row)}>
            <code>{row.request_id}</code>
          </Button>
        ) : (
          <code>{row.request_id}</code>
        ),
    },
    { name: "time", title: t.columns.time, cell: (row) => <Time utc={row.time} withSeconds /> },
    { name: "request", title: t.columns.request, isNumber: true, cell: (row) => bytes(row.request_bytes) },
    {
      name: "response",
      title: t.columns.response,
      isNumber: true,
      cell: (row) => (
        <>
          {bytes(row.response_bytes)} {row.is_cut ? <Tag tone="warn">{t.cut}</Tag> : null}
        </>
      ),
    },
  ];
  return (
    <Dialog title={t.list} look="wide" onClose={onClose}>
      <div class="note warn">{t.personal}</div>
      <Loaded resource={requests}>
        {({ data, next_cursor }) =>
          data.length === 0 ? (
            <p class="muted">{t.none}</p>
          ) : (
            <>
              <Table
                label={t.list}
                columns={columns}
                rows={data}
                keyOf={(row) => row.id}
                isLoading={requests.isLoading}
              />
              <Pager pages={pages} nextCursor={next_cursor} />
            </>
          )
        }
      </Loaded>
      {reading === null ? null : <BodiesDialog of={reading} onClose={() => setReading(null)} />}
    </Dialog>
  );
}

/** Both bodies as they went over the wire. */
function BodiesDialog({ of: captured, onClose }: { of: Captured; onClose: () => void }): JSX.Element {
  const t = textsOf(KEYS).capture;
  const path = { lease_id: captured.lease_id, request_id: captured.request_id };
  const bodies = useResource(captured.request_id, (signal) =>
    unwrap(admin.GET("/admin/v1/captures/{lease_id}/requests/{request_id}", { params: { path }, signal })),
  );
  return (
    <Dialog title={t.readTitle} look="wide" onClose={onClose}>
      <div class="note warn">{t.personal}</div>
      <p class="muted small mono">{captured.request_id}</p>
      <Loaded resource={bodies}>
        {({ request_body, response_body }) => (
          <>
            <Section title={t.requestBody}>
              <Code text={laidOut(request_body)} label={t.requestBody} />
            </Section>
            <Section title={t.responseBody}>
              <Code text={laidOut(response_body)} label={t.responseBody} />
            </Section>
          </>
        )}
      </Loaded>
    </Dialog>
  );
}
