import type { JSX } from "preact";
import type { Schemas } from "../../api/client.ts";
import { textsOf } from "../../i18n/texts.ts";
import { isZero } from "../../lib/decimal.ts";
import { grouped, money, NOTHING } from "../../lib/format.ts";
import { type Column, Table } from "../../ui/table.tsx";
import { Money } from "../../ui/values.tsx";
import { isSamePrice, type Price, type PriceSlot, type PriceTier, priceOf } from "./catalog.ts";
import { MODELS } from "./texts.ts";

type Target = Schemas["TargetSchema"];

interface CellProps {
  targets: readonly Target[];
  side: "input" | "output";
}

/** What a million tokens cost at the first target, and what else there is to know. */
export function PriceCell({ targets, side }: CellProps): JSX.Element {
  const t = textsOf(MODELS);
  const prices = targets.map((target) => priceOf(target.price));
  const price = prices[0] ?? null;
  const tier = price?.tiers[0];
  if (price === null || tier === undefined) return <span class="muted">{t.noPrice}</span>;
  const { currency } = price;
  // Embeddings and rankings have no output that costs anything.
  if (side === "output" && isZero(tier.output) && isZero(tier.outputThinking)) return <>{NOTHING}</>;
  const more =
    side === "input"
      ? tier.cachedInput === tier.input
        ? []
        : [`${t.cached} ${money(tier.cachedInput, currency)}`]
      : tier.outputThinking === tier.output
        ? []
        : [`${t.ifThinking} ${money(tier.outputThinking, currency)}`];
  if (side === "output") {
    if (price.tiers.length > 1) more.push(t.tiers(grouped(price.tiers.length)));
    if (price.slots.length > 0) more.push(t.byHour);
    if (prices.some((each) => !isSamePrice(each, price))) more.push(t.byTarget);
  }
  return (
    <>
      <Money amount={side === "input" ? tier.input : tier.output} currency={currency} />
      {more.length === 0 ? null : <div class="muted small">{more.join(" · ")}</div>}
    </>
  );
}

/** All of a price. */
export function PriceTable({ price, label }: { price: Price; label: string }): JSX.Element {
  const t = textsOf(MODELS).details;
  const amount = (name: string, title: string, of: (tier: PriceTier) => string): Column<PriceTier> => ({
    name,
    title,
    isNumber: true,
    cell: (tier) => <Money amount={of(tier)} currency={price.currency} />,
  });
  const thinks = price.tiers.some((tier) => tier.outputThinking !== tier.output);
  const columns: Column<PriceTier>[] = [
    {
      name: "above",
      title: t.above,
      cell: ({ aboveInputTokens }) =>
        aboveInputTokens === 0 ? t.anyPrompt : t.aboveTokens(grouped(aboveInputTokens)),
    },
    amount("input", t.input, (tier) => tier.input),
    amount("cached", t.cachedInput, (tier) => tier.cachedInput),
    amount("written", t.cacheWrite, (tier) => tier.cacheWrite),
    amount("output", t.output, (tier) => tier.output),
    ...(thinks ? [amount("thinking", t.outputThinking, (tier) => tier.outputThinking)] : []),
  ];
  const others = [
    [t.perRequest, price.perRequest],
    [t.perImage, price.perImage],
  ] as const;
  return (
    <>
      <Table
        label={label}
        columns={columns}
        rows={price.tiers}
        keyOf={({ aboveInputTokens }) => aboveInputTokens}
      />
      <p class="muted small">
        {t.priceWhat}
        {others.map(([name, value]) => (isZero(value) ? null : ` ${name}: ${money(value, price.currency)}.`))}
        {price.currency === price.countedIn
          ? null
          : ` ${t.exchange(price.currency, money(price.exchange, price.countedIn))}`}
      </p>
      {price.slots.map((slot) => (
        <p key={slotWords(slot, t)} class="muted small">
          {slotWords(slot, t)}
        </p>
      ))}
    </>
  );
}

const WEEK = 7;

function slotWords(slot: PriceSlot, t: typeof MODELS.en.details): string {
  const names: Record<string, string | undefined> = t.days;
  const isDaily = slot.days.length === 0 || slot.days.length === WEEK;
  const days = isDaily ? t.everyDay : slot.days.map((day) => names[day] ?? day).join(" ");
  const hours = slot.hours.length === 0 ? t.allDay : slot.hours.join(" ");
  return t.slot(slot.factor, hours, days, slot.timezone);
}
