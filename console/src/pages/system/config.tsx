import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { admin, unwrap } from "../../api/client.ts";
import { mayChange } from "../../api/session.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Button, Section } from "../../ui/basics.tsx";
import { Loaded } from "../../ui/table.tsx";
import { toast } from "../../ui/toast.tsx";
import { Time } from "../../ui/values.tsx";
import { CheckFaults, isTaken, loadCheck, Probes } from "./check.tsx";
import { ConfigTree } from "./config-tree.tsx";
import { ReloadDialog, type Reloaded, ReloadResult } from "./reload.tsx";
import { SYSTEM } from "./texts.ts";

/** The config in force, and whether the file could take its place. */
export function Config(): JSX.Element {
  const t = textsOf(SYSTEM).config;
  const [isAsking, setAsking] = useState(false);
  const [reloaded, setReloaded] = useState<Reloaded | null>(null);
  const generation = reloaded?.result.generation ?? 0;
  const system = useResource(`system ${generation}`, (signal) =>
    unwrap(admin.GET("/admin/v1/system", { signal })),
  );
  const config = useResource(`config ${generation}`, (signal) =>
    unwrap(admin.GET("/admin/v1/config", { signal })),
  );
  const check = useResource(`check ${generation}`, loadCheck);
  const facts = system.data;
  return (
    <>
      <Section
        title={t.checkTitle}
        actions={
          <>
            <Button isBusy={check.isLoading} onClick={check.reload}>
              {t.check}
            </Button>
            {mayChange.value ? (
              <Button look="primary" icon="refresh" onClick={() => setAsking(true)}>
                {t.reload}
              </Button>
            ) : null}
          </>
        }
      >
        <Loaded resource={check}>
          {(data) => (isTaken(data) ? <p class="note">{t.checkedOk}</p> : <CheckFaults check={data} />)}
        </Loaded>
      </Section>
      {reloaded === null ? null : <ReloadResult reloaded={reloaded} />}
      <Probes />
      <Section title={t.title}>
        <Loaded resource={config}>
          {(data) => (
            <>
              <dl class="facts">
                <dt>{t.file}</dt>
                <dd>
                  <code>{data.source}</code>
                </dd>
                <dt>{t.changed}</dt>
                <dd>
                  <Time utc={data.changed_at} withSeconds />
                </dd>
                {facts === undefined || facts.generation === null ? null : (
                  <>
                    <dt>{t.generation}</dt>
                    <dd>{grouped(facts.generation)}</dd>
                  </>
                )}
              </dl>
              <ConfigTree config={data.config} />
            </>
          )}
        </Loaded>
      </Section>
      {isAsking ? (
        <ReloadDialog
          workers={facts?.workers.length ?? 1}
          onDone={(done) => {
            setAsking(false);
            setReloaded(done);
            toast(t.reloaded(grouped(done.result.generation)));
          }}
          onClose={() => setAsking(false)}
        />
      ) : null}
    </>
  );
}
