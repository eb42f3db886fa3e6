import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { session } from "../../api/session.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { grouped } from "../../lib/format.ts";
import { useResource } from "../../lib/resource.ts";
import { Button, Empty, Page, Section } from "../../ui/basics.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Time } from "../../ui/values.tsx";
import "../access/access.css";
import { Budgets, Limits } from "./allowed.tsx";
import { type Mine as Data, loadMine } from "./data.ts";
import { HowTo } from "./how-to.tsx";
import { ModelTable } from "./model-table.tsx";
import "./page.css";
import { MINE } from "./texts.ts";
import { Usage } from "./usage.tsx";

const REFRESH_MS = 60_000;

/** What a model key has used, and what it may still use. */
export default function Mine(): JSX.Element {
  const t = textsOf(MINE);
  const secret = session.value?.secret ?? "";
  const mine = useResource(secret, (signal) => loadMine(secret, signal));
  const { reload } = mine;
  useEffect(() => {
    const timer = setInterval(() => {
      if (document.visibilityState === "visible") reload();
    }, REFRESH_MS);
    return () => clearInterval(timer);
  }, [reload]);
  return (
    <Page
      title={textsOf(SHELL).pages.mine}
      actions={
        <>
          {mine.data === undefined ? null : (
            <span class="muted small">
              {t.asOf} <Time utc={mine.data.at} withSeconds />
            </span>
          )}
          <Button icon="refresh" isBusy={mine.isLoading} onClick={reload}>
            {t.refresh}
          </Button>
        </>
      }
    >
      <Loaded resource={mine}>{(data) => <Everything data={data} secret={secret} />}</Loaded>
    </Page>
  );
}

function Everything({ data, secret }: { data: Data; secret: string }): JSX.Element {
  const t = textsOf(MINE);
  const { usage, models } = data;
  const firstModel = models.find(({ kind }) => kind === "chat")?.id;
  return (
    <>
      <div class="grid mine">
        <Section title={t.key}>
          <dl class="facts">
            <dt>{t.name}</dt>
            <dd>{usage.name}</dd>
            <dt>{t.project}</dt>
            <dd>{usage.project}</dd>
            <dt>{t.expires}</dt>
            <dd>{usage.expiresAt === null ? t.never : <Time utc={usage.expiresAt} />}</dd>
            <dt>{t.models}</dt>
            <dd>
              {usage.models === null
                ? t.allModels(grouped(models.length))
                : t.someModels(grouped(models.length))}
            </dd>
          </dl>
        </Section>
        <Section title={t.limits}>
          <Limits limits={usage.limits} />
        </Section>
        <Section title={t.budgets}>
          <Budgets budgets={usage.budgets} />
        </Section>
      </div>
      {usage.days.length === 0 ? (
        <Empty title={t.none}>
          <p>{t.noneWhat}</p>
          <a href="/console/playground">{t.toPlayground}</a>
        </Empty>
      ) : (
        <Usage usage={usage} />
      )}
      <Section title={t.yourModels}>
        {models.length === 0 ? <Empty title={t.noModels} /> : <ModelTable models={models} />}
      </Section>
      {firstModel === undefined ? null : <HowTo secret={secret} model={firstModel} />}
    </>
  );
}
