import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, FaultNote, Select } from "../../ui/basics.tsx";
import { Confirm, Dialog } from "../../ui/dialog.tsx";
import { toast } from "../../ui/toast.tsx";
import { ACCESS } from "../access/texts.ts";
import { nameOf } from "./names.ts";
import { KEYS } from "./texts.ts";

type Key = Schemas["KeySchema"];

interface DeedsProps {
  of: Key;
  onChange: () => void;
  onEdit: () => void;
  onRotated: (key: Schemas["NewKeySchema"]) => void;
}

/** What can be done with a key. */
export function Deeds({ of: key, onChange, onEdit, onRotated }: DeedsProps): JSX.Element {
  const t = textsOf(KEYS);
  const access = textsOf(ACCESS);
  const [asked, setAsked] = useState<"rotate" | "revoke" | "block" | null>(null);
  const isBlocked = key.blocked_at !== null;
  const path = { key_id: key.id };
  const toggle = useAction(async () => {
    if (isBlocked) await unwrap(admin.POST("/admin/v1/keys/{key_id}/unblock", { params: { path } }));
    else await unwrap(admin.POST("/admin/v1/keys/{key_id}/block", { params: { path } }));
    toast((isBlocked ? t.done.unblocked : t.done.blocked)(nameOf(key)));
    onChange();
  });
  const close = (): void => setAsked(null);
  const me = useResource(key.kind === "model" ? null : "me", (signal) =>
    unwrap(admin.GET("/admin/v1/me", { signal })),
  );
  const isOwn = me.data?.id === key.id;
  return (
    <>
      <div class="row">
        <Button onClick={onEdit}>{access.change}</Button>
        <Button onClick={() => setAsked("rotate")}>{t.deeds.rotate}</Button>
        <Button
          isBusy={toggle.isRunning}
          disabled={me.isLoading}
          onClick={() => (isOwn ? setAsked("block") : toggle.run())}
        >
          {isBlocked ? access.unblock : access.block}
        </Button>
        <Button look="danger" onClick={() => setAsked("revoke")}>
          {t.deeds.revoke}
        </Button>
      </div>
      {toggle.fault === undefined ? null : <FaultNote fault={toggle.fault} />}
      {asked === "rotate" ? <RotateDialog of={key} onDone={onRotated} onClose={close} /> : null}
      {asked === "block" ? (
        <Confirm
          title={t.blockTitle(nameOf(key))}
          deed={access.block}
          isBusy={toggle.isRunning}
          onConfirm={() => toggle.run()}
          onClose={close}
        >
          <div class="note warn">{t.isOwn}</div>
          <p>{t.blockWords(nameOf(key))}</p>
        </Confirm>
      ) : null}
      {asked === "revoke" ? (
        <RevokeDialog
          of={key}
          isOwn={isOwn}
          onDone={() => {
            close();
            onChange();
          }}
          onClose={close}
        />
      ) : null}
    </>
  );
}

const GRACES = ["0", "3600", "86400", "604800"] as const;
type Grace = (typeof GRACES)[number];

interface RotateDialogProps {
  of: Key;
  onDone: (key: Schemas["NewKeySchema"]) => void;
  onClose: () => void;
}

function RotateDialog({ of: key, onDone, onClose }: RotateDialogProps): JSX.Element {
  const t = textsOf(KEYS);
  const [grace, setGrace] = useState<Grace>("86400");
  const { run, isRunning, fault } = useAction(async () => {
    const path = { key_id: key.id };
    const body = { grace_s: Number(grace) };
    const rotated = await unwrap(admin.POST("/admin/v1/keys/{key_id}/rotate", { params: { path }, body }));
    onClose();
    onDone(rotated);
  });
  return (
    <Dialog title={t.rotateTitle(nameOf(key))} onClose={onClose}>
      <p>{t.rotateWords}</p>
      <Select
        label={t.rotateGrace}
        value={grace}
        options={GRACES.map((each) => [each, t.graces[each]])}
        onChange={setGrace}
      />
      {fault === undefined ? null : <FaultNote fault={fault} />}
      <div class="row end">
        <Button onClick={onClose}>{textsOf(COMMON).cancel}</Button>
        <Button look="primary" isBusy={isRunning} onClick={() => run()}>
          {t.rotateDeed}
        </Button>
      </div>
    </Dialog>
  );
}

interface RevokeDialogProps {
  of: Key;
  /** Whether it is the key that is signed in. */
  isOwn: boolean;
  onDone: () => void;
  onClose: () => void;
}

function RevokeDialog({ of: key, isOwn, onDone, onClose }: RevokeDialogProps): JSX.Element {
  const t = textsOf(KEYS);
  const name = nameOf(key);
  const { run, isRunning, fault } = useAction(async () => {
    await unwrap(admin.POST("/admin/v1/keys/{key_id}/revoke", { params: { path: { key_id: key.id } } }));
    toast(t.done.revoked(name));
    onDone();
  });
  return (
    <Confirm
      title={t.revokeTitle(name)}
      deed={t.revokeDeed}
      isBusy={isRunning}
      onConfirm={() => run()}
      onClose={onClose}
    >
      {isOwn ? <div class="note warn">{t.isOwn}</div> : null}
      <p>{t.revokeWords(name)}</p>
      {fault === undefined ? null : <FaultNote fault={fault} />}
    </Confirm>
  );
}
