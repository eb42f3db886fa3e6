import type { ComponentChildren, JSX } from "preact";
import { admin, type Schemas, unwrap } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { MAX_PAGE_ROWS } from "../../lib/paged.ts";
import { useResource } from "../../lib/resource.ts";
import { Empty, Page, Section } from "../../ui/basics.tsx";
import { Fact } from "../../ui/facts.tsx";
import { Loaded } from "../../ui/table.tsx";
import { Count } from "../../ui/values.tsx";
import { type CatalogEntry, catalogOf, isSamePrice, priceOf } from "./catalog.ts";
import { Lately } from "./lately.tsx";
import { PriceTable } from "./price.tsx";
import { Targets } from "./targets.tsx";
import { MODELS } from "./texts.ts";
import { ModelUsage } from "./usage.tsx";
import { limitWords, modalityWords } from "./words.ts";

type Model = Schemas["ModelSchema"];

/** The config has no list of one: its pages are walked until it comes. Null: there is none of this id. */
async function findModel(id: string, signal: AbortSignal): Promise<Model | null> {
  let cursor: string | undefined;
  for (;;) {
    const query = { limit: MAX_PAGE_ROWS, ...(cursor === undefined ? {} : { cursor }) };
    const page = await unwrap(admin.GET("/admin/v1/models", { params: { query }, signal }));
    const found = page.data.find((model) => model.id === id);
    if (found !== undefined) return found;
    if (page.next_cursor === null) return null;
    cursor = page.next_cursor;
  }
}

/** All about one model. */
export function ModelPage({ id }: { id: string }): JSX.Element {
  const t = textsOf(MODELS).details;
  const model = useResource(id, (signal) => findModel(id, signal));
  const asked = new URLSearchParams({ model: id });
  const isChat = model.data?.catalog["kind"] === "chat";
  return (
    <Page
      title={id}
      actions={
        <div class="row">
          <a class="button" href="/console/models">
            {t.back}
          </a>
          <a class="button" href={`/console/requests?${asked}`}>
            {t.toRequests}
          </a>
          {isChat ? (
            <a class="button primary" href={`/console/playground?${asked}`}>
              {t.toPlayground}
            </a>
          ) : null}
        </div>
      }
    >
      <Loaded resource={model}>
        {(found) =>
          found === null ? (
            <Empty title={t.notFound}>
              <p>{t.notFoundWhat}</p>
              <a href={`/console/requests?${asked}`}>{t.toRequests}</a>
            </Empty>
          ) : (
            <Parts of={found} />
          )
        }
      </Loaded>
    </Page>
  );
}

function Parts({ of: model }: { of: Model }): JSX.Element {
  const t = textsOf(MODELS).details;
  const catalog = catalogOf(model.catalog);
  return (
    <>
      <div class="grid">
        <Section title={t.about}>
          <About of={model} catalog={catalog} />
        </Section>
        <ModelUsage id={model.id} />
      </div>
      <Prices of={model} />
      <Targets of={model.targets} />
      {catalog.kind === "chat" ? <Lately id={model.id} /> : null}
    </>
  );
}

function About({ of: model, catalog }: { of: Model; catalog: CatalogEntry }): JSX.Element {
  const all = textsOf(MODELS);
  const t = all.details;
  const kinds: Record<string, string | undefined> = all.kinds;
  const capable = (is: boolean | null): string => {
    const words: Record<string, string | undefined> = t.capabilities;
    const names = catalog.capabilities.filter(([, value]) => value === is);
    return names.map(([name]) => words[name] ?? name).join(all.comma);
  };
  const limits = limitWords(model.limits, all);
  return (
    <dl class="facts">
      <Fact title={t.kind}>{kinds[catalog.kind] ?? catalog.kind}</Fact>
      <Fact title={t.family}>
        {catalog.family} <span class="muted">({catalog.owner})</span>
      </Fact>
      <Fact title={t.takes}>{modalityWords(catalog.input, all)}</Fact>
      <Fact title={t.gives}>{modalityWords(catalog.output, all)}</Fact>
      <Fact title={t.context}>{tokens(catalog.contextWindow, t.tokens)}</Fact>
      <Fact title={t.maxOutput}>{tokens(catalog.maxOutput, t.tokens)}</Fact>
      <Fact title={t.can}>{capable(true)}</Fact>
      <Fact title={t.cannot}>{capable(false)}</Fact>
      <Fact title={t.notKnown}>{capable(null)}</Fact>
      {catalog.kind === "chat" ? (
        <Fact title={t.thinking}>
          {all.thinkingWhat[catalog.thinking]}
          {catalog.thinking === "native" ? null : <Dialect name={catalog.dialect} />}
        </Fact>
      ) : null}
      <Fact title={t.limits}>{limits.length === 0 ? t.noLimits : limits.join(" · ")}</Fact>
    </dl>
  );
}

function tokens(count: number | null, unit: string): ComponentChildren {
  if (count === null) return null;
  return (
    <>
      <Count value={count} /> {unit}
    </>
  );
}

function Dialect({ name }: { name: string }): JSX.Element {
  const words: Record<string, string | undefined> = textsOf(MODELS).dialects;
  return (
    <div class="muted small">
      {name}: {words[name] ?? name}
    </div>
  );
}

/** One table where all targets cost the same. */
function Prices({ of: model }: { of: Model }): JSX.Element {
  const t = textsOf(MODELS).details;
  const prices = model.targets.map((target) => priceOf(target.price));
  const first = prices[0] ?? null;
  const isOne = prices.every((price) => isSamePrice(price, first));
  const shown = isOne ? model.targets.slice(0, 1) : model.targets;
  return (
    <>
      {shown.map((target, index) => {
        const price = prices[index] ?? null;
        const place = `${target.upstream} · ${target.upstream_model}`;
        const title = isOne ? t.price : t.priceOf(place);
        return (
          <Section key={place} title={title}>
            {price === null ? <p class="muted">{t.noPrice}</p> : <PriceTable price={price} label={title} />}
          </Section>
        );
      })}
    </>
  );
}
