import type { JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { jsonOf } from "../../api/fault.ts";
import { askGateway } from "../../api/gateway.ts";
import { isAdmin } from "../../api/session.ts";
import { SHELL } from "../../i18n/shell.ts";
import { textsOf } from "../../i18n/texts.ts";
import { useResource } from "../../lib/resource.ts";
import { Button, Checkbox, Empty, Page } from "../../ui/basics.tsx";
import { Dialog } from "../../ui/dialog.tsx";
import { Loaded } from "../../ui/table.tsx";
import type { Body } from "./body.ts";
import { type Model, modelsOf } from "./catalog.ts";
import { CodeDialog } from "./code-dialog.tsx";
import { Composer } from "./composer.tsx";
import { useFollow } from "./follow.ts";
import { KeyGate, KeyLine, secretInUse } from "./keys.tsx";
import { Lanes } from "./lanes.tsx";
import "./page.css";
import { Panel } from "./panel.tsx";
import { problemsOf } from "./settings.ts";
import {
  addLane,
  announcement,
  bodyNow,
  clear,
  entries,
  isPlain,
  lanes,
  MOST_LANES,
  setLane,
  settings,
} from "./store.ts";
import { PLAYGROUND } from "./texts.ts";
import { Thread } from "./thread.tsx";

export default function Playground(): JSX.Element {
  const title = textsOf(SHELL).pages.playground;
  const secret = secretInUse();
  useAddress();
  if (secret === null) {
    return (
      <Page title={title}>
        <KeyGate />
      </Page>
    );
  }
  return <WithModels key={secret} secret={secret} title={title} />;
}

const PATH = "/console/playground";

function searchOf(model: string | null, model2: string | null): string {
  return new URLSearchParams({ ...(model ? { model } : {}), ...(model2 ? { model2 } : {}) }).toString();
}

/** `?model=…&model2=…` chooses models, and the address follows what is chosen. */
function useAddress(): void {
  const { query, route } = useLocation();
  const [first, second] = lanes.value.map((lane) => lane.model);
  // What the address said when it was last heeded or written here: that is nothing new.
  const known = useRef("");
  // One effect, over within the event: of two after the paint, one undid what was chosen meanwhile.
  useLayoutEffect(() => {
    if (!location.pathname.startsWith(PATH)) return; // on the way to a page whose code is still coming
    // Address and lanes as they are now, which may be newer than what is rendered.
    const here = new URLSearchParams(location.search);
    const model = here.get("model");
    const model2 = here.get("model2");
    const asked = searchOf(model, model2);
    if (asked !== known.current) {
      if (model) setLane(0, { model });
      if (model2 && lanes.value.length < MOST_LANES) addLane(model2);
      else if (model2) setLane(1, { model: model2 });
    }
    const [one, two] = lanes.value;
    known.current = one?.model ? searchOf(one.model, two?.model ?? null) : asked;
    if (known.current !== asked) route(`${PATH}?${known.current}`, true);
  }, [query["model"], query["model2"], first, second]);
}

function WithModels({ secret, title }: { secret: string; title: string }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const catalog = useResource(secret, async (signal) =>
    modelsOf(await jsonOf(await askGateway("/v1/model-catalog", secret, { signal }))),
  );
  const models = catalog.data ?? [];
  const first = models[0]?.id;
  useEffect(() => {
    if (first !== undefined && lanes.value[0]?.model === "") setLane(0, { model: first });
  }, [first]);
  return (
    <Page title={title} actions={<Actions models={models} />}>
      {isAdmin.value ? <KeyLine secret={secret} /> : null}
      <Loaded resource={catalog}>
        {() =>
          first === undefined ? (
            <Empty title={t.models.none}>{t.models.noneHint}</Empty>
          ) : (
            <Bench secret={secret} models={models} />
          )
        }
      </Loaded>
    </Page>
  );
}

function Bench({ secret, models }: { secret: string; models: readonly Model[] }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  return (
    <div class="play">
      <div class="stack bench" ref={useFollow()}>
        <Lanes models={models} />
        <Thread secret={secret} />
        <Composer secret={secret} models={models} />
      </div>
      <aside class="panel-side" aria-label={t.settings}>
        <Panel models={models} />
      </aside>
      <div class="unseen" role="status" aria-live="polite">
        {announcement.value}
      </div>
    </div>
  );
}

function Actions({ models }: { models: readonly Model[] }): JSX.Element {
  const t = textsOf(PLAYGROUND);
  const [shown, setShown] = useState<"settings" | "code" | null>(null);
  const hasProblems = Object.keys(problemsOf(settings.value)).length > 0;
  const bodies = lanes.value.map((_, index) => bodyNow(index)).filter((each): each is Body => each !== null);
  const other = models.find(({ id }) => lanes.value.every((lane) => lane.model !== id));
  return (
    <>
      <Checkbox
        label={t.plain}
        checked={isPlain.value}
        onChange={(plain) => {
          isPlain.value = plain;
        }}
      />
      {lanes.value.length < MOST_LANES && models.length > 0 ? (
        <Button icon="plus" onClick={() => addLane((other ?? models[0])?.id ?? "")}>
          {t.compare}
        </Button>
      ) : null}
      <Button
        disabled={hasProblems}
        title={hasProblems ? t.snippet.fault : ""}
        onClick={() => setShown("code")}
      >
        {t.code}
      </Button>
      <div class="narrow-only">
        <Button onClick={() => setShown("settings")}>{t.settings}</Button>
      </div>
      <Button disabled={entries.value.length === 0} onClick={clear}>
        {t.newConversation}
      </Button>
      {shown === "code" ? <CodeDialog bodies={bodies} onClose={() => setShown(null)} /> : null}
      {shown === "settings" ? (
        <Dialog title={t.settings} look="drawer" onClose={() => setShown(null)}>
          <Panel models={models} />
        </Dialog>
      ) : null}
    </>
  );
}
