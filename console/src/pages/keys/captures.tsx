import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, FaultNote, Section, Tag, TextField } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Loaded, Pager, usePages } from "../../ui/table.tsx";
import { toast } from "../../ui/toast.tsx";
import { Time } from "../../ui/values.tsx";
import { CapturedDialog } from "./captured.tsx";
import { KEYS } from "./texts.ts";

type Lease = Schemas["LeaseSchema"];

interface CapturesProps {
  keyId: number;
  /** Whether the config allows it, and the key is in force. */
  mayStart: boolean;
}

const PAGE_SIZE = 5;

/** For how long a key's requests are kept with their bodies, and what was kept. */
export function Captures({ keyId, mayStart }: CapturesProps): JSX.Element | null {
  const t = textsOf(KEYS).capture;
  const pages = usePages(String(keyId));
  const [isStarting, setStarting] = useState(false);
  const [opened, setOpened] = useState<Lease | null>(null);
  const leases = useResource(`${keyId} ${pages.cursor}`, (signal) => {
    const query = {
      key_id: keyId,
      limit: PAGE_SIZE,
      ...(pages.cursor === null ? {} : { cursor: pages.cursor }),
    };
    return unwrap(admin.GET("/admin/v1/captures", { params: { query }, signal }));
  });
  const end = useAction(async () => {
    await unwrap(admin.DELETE("/admin/v1/keys/{key_id}/capture", { params: { path: { key_id: keyId } } }));
    toast(t.ended);
    leases.reload();
  });
  const hasAny = (leases.data?.data.length ?? 0) > 0;
  // Where it can't be started, only what is there already is worth a section.
  if (!mayStart && !hasAny) return null;
  const isRunning = leases.data?.data.some((each) => each.is_open) === true;
  return (
    <Section
      title={t.title}
      actions={
        mayChange.value && mayStart && !isRunning ? (
          <Button onClick={() => setStarting(true)}>{t.start}</Button>
        ) : undefined
      }
    >
      {hasAny ? null : <p class="muted">{t.what}</p>}
      {end.fault === undefined ? null : <FaultNote fault={end.fault} />}
      <Loaded resource={leases}>
        {({ data, next_cursor }) => (
          <>
            <ul class="meters">
              {data.map((lease) => (
                <li key={lease.id}>
                  <LeaseLine
                    lease={lease}
                    isEnding={end.isRunning}
                    onEnd={() => end.run()}
                    onOpen={() => setOpened(lease)}
                  />
                </li>
              ))}
            </ul>
            <Pager pages={pages} nextCursor={next_cursor} />
          </>
        )}
      </Loaded>
      {isStarting ? (
        <StartDialog
          keyId={keyId}
          onDone={() => {
            setStarting(false);
            leases.reload();
          }}
          onClose={() => setStarting(false)}
        />
      ) : null}
      {opened === null ? null : <CapturedDialog leaseId={opened.id} onClose={() => setOpened(null)} />}
    </Section>
  );
}

interface LeaseLineProps {
  lease: Lease;
  isEnding: boolean;
  onEnd: () => void;
  onOpen: () => void;
}

function LeaseLine({ lease, isEnding, onEnd, onOpen }: LeaseLineProps): JSX.Element {
  const t = textsOf(KEYS).capture;
  return (
    <>
      <div class="row">
        <Tag tone={lease.is_open ? "warn" : "neutral"}>{lease.is_open ? t.isOpen : t.isOver}</Tag>
        <span>
          <Time utc={lease.opened_at} /> · {t.until} <Time utc={lease.closed_at ?? lease.expires_at} />
        </span>
      </div>
      <span class="muted small">
        {t.count(grouped(lease.captured_requests), grouped(lease.max_requests))} · {t.by(lease.opened_by)}
      </span>
      <div class="row">
        {lease.captured_requests > 0 || lease.is_open ? <Button onClick={onOpen}>{t.show}</Button> : null}
        {lease.is_open && mayChange.value ? (
          <Button isBusy={isEnding} onClick={onEnd}>
            {t.end}
          </Button>
        ) : null}
      </div>
    </>
  );
}

interface StartDialogProps {
  keyId: number;
  onDone: () => void;
  onClose: () => void;
}

function StartDialog({ keyId, onDone, onClose }: StartDialogProps): JSX.Element {
  const t = textsOf(KEYS).capture;
  const [minutes, setMinutes] = useState("15");
  const [requests, setRequests] = useState("100");
  const isWhole = (text: string): boolean => /^[1-9]\d{0,8}$/.test(text.trim());
  const { run, isRunning, fault } = useAction(async () => {
    const path = { key_id: keyId };
    const body = { duration_s: Number(minutes) * 60, max_requests: Number(requests) };
    await unwrap(admin.POST("/admin/v1/keys/{key_id}/capture", { params: { path }, body }));
    toast(t.started);
    onDone();
  });
  return (
    <Dialog title={t.startTitle} onClose={onClose}>
      <form
        class="stack"
        onSubmit={(event) => {
          event.preventDefault();
          if (isWhole(minutes) && isWhole(requests)) run();
        }}
      >
        <p>{t.what}</p>
        <div class="note warn">{t.personal}</div>
        <div class="fields">
          <TextField
            label={t.minutes}
            value={minutes}
            onInput={setMinutes}
            isNumber
            wrong={isWhole(minutes) ? undefined : t.wrongMinutes}
          />
          <TextField
            label={t.requests}
            value={requests}
            onInput={setRequests}
            isNumber
            wrong={isWhole(requests) ? undefined : t.wrongMinutes}
          />
        </div>
        {fault === undefined ? null : <FaultNote fault={fault} />}
        <div class="row end">
          <Button onClick={onClose}>{textsOf(COMMON).cancel}</Button>
          <Button type="submit" look="primary" isBusy={isRunning}>
            {t.startDeed}
          </Button>
        </div>
      </form>
    </Dialog>
  );
}
