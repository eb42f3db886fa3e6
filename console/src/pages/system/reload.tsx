import type { JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { type Change, changesOf } from "../../lib/changes.ts";
import { grouped } from "../../lib/format.ts";
import { useAction, useResource } from "../../lib/resource.ts";
import { Button, FaultNote, Section } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Changes } from "./changes.tsx";
import { CheckFaults, isTaken, loadCheck } from "./check.tsx";
import { SYSTEM } from "./texts.ts";

type Config = Schemas["ConfigSchema"];

/** A reload that took place. */
export interface Reloaded {
  result: Schemas["ReloadSchema"];
  changes: Change[];
}

function loadConfig(): Promise<Config> {
  return unwrap(admin.GET("/admin/v1/config"));
}

/** What has changed is what differs between the config in force before and after. */
async function reload(): Promise<Reloaded> {
  const before = await loadConfig();
  const result = await unwrap(admin.POST("/admin/v1/reload"));
  const config = await loadConfig();
  return { result, changes: changesOf(before.config, config.config) };
}

interface ReloadDialogProps {
  workers: number;
  onDone: (reloaded: Reloaded) => void;
  onClose: () => void;
}

/** Checks the file, and then asks: a reload that would be refused is not offered. */
export function ReloadDialog({ workers, onDone, onClose }: ReloadDialogProps): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const check = useResource("check", loadCheck);
  const { run, isRunning, fault } = useAction(async () => {
    try {
      onDone(await reload());
    } finally {
      check.reload(); // the file may be another than when it was checked
    }
  });
  const found = check.data;
  return (
    <Dialog title={t.reloadTitle} look="wide" onClose={onClose}>
      {found === undefined ? (
        <p class="muted" role="status">
          {t.checking}
        </p>
      ) : null}
      <Loaded resource={check}>
        {(data) =>
          isTaken(data) ? (
            <>
              <p>{t.checkedOk}</p>
              <p>{t.reloadWhat(data.source, grouped(workers))}</p>
            </>
          ) : (
            <>
              <p>
                <strong>{t.reloadRefused}</strong>
              </p>
              <CheckFaults check={data} />
            </>
          )
        }
      </Loaded>
      {fault === undefined ? null : <FaultNote fault={fault} />}
      <div class="row end">
        <Button onClick={onClose}>{textsOf(COMMON).cancel}</Button>
        <Button icon="refresh" isBusy={check.isLoading} onClick={check.reload}>
          {t.check}
        </Button>
        <Button
          look="primary"
          isBusy={isRunning}
          disabled={found === undefined || !isTaken(found)}
          onClick={() => run()}
        >
          {t.reloadDeed}
        </Button>
      </div>
    </Dialog>
  );
}

/** What a reload came to. */
export function ReloadResult({ reloaded: { result, changes } }: { reloaded: Reloaded }): JSX.Element {
  const t = textsOf(SYSTEM).config;
  return (
    <Section title={t.changes(grouped(result.generation))}>
      {changes.length === 0 ? <p class="muted">{t.noChanges}</p> : <Changes changes={changes} />}
      {result.problems.length === 0 ? null : (
        <div class="fault" role="alert">
          <span>{t.problems}</span>
          <ul>
            {result.problems.map((problem) => (
              <li key={problem}>{problem}</li>
            ))}
          </ul>
        </div>
      )}
    </Section>
  );
}
