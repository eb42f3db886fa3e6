import type { ComponentChild } from "preact";
import {
  duration,
  exactMoney,
  grouped,
  localTime,
  money,
  NOTHING,
  relativeTime,
  shortened,
  utcTime,
} from "../lib/format.ts";
import { language } from "../lib/preferences.ts";

/** A whole number, grouped. */
export function Num({ value }: { value: number | null | undefined }): ComponentChild {
  return value === null || value === undefined ? NOTHING : <span class="nowrap">{grouped(value)}</span>;
}

/** A large count, such as tokens: shortened, the whole number in a tooltip. */
export function Count({ value }: { value: number | null | undefined }): ComponentChild {
  if (value === null || value === undefined) return <>{NOTHING}</>;
  if (Math.abs(value) < 10_000) return <Num value={value} />;
  return (
    <span class="nowrap" title={grouped(value)}>
      {shortened(value)}
    </span>
  );
}

/** An exact decimal text and its currency; all its decimals in a tooltip. */
export function Money({
  amount,
  currency,
}: {
  amount: string | null | undefined;
  currency: string | null | undefined;
}): ComponentChild {
  if (amount === null || amount === undefined) return <>{NOTHING}</>;
  const unit = currency ?? "";
  return (
    <span class="nowrap" title={exactMoney(amount, unit)}>
      {money(amount, unit)}
    </span>
  );
}

/** Costs of several currencies, each by itself: they are never added. */
export function Costs({ costs }: { costs: Record<string, string> }): ComponentChild {
  const all = Object.entries(costs);
  if (all.length === 0) return <>{NOTHING}</>;
  return (
    <>
      {all.map(([currency, amount], index) => (
        <span key={currency}>
          {index > 0 ? " + " : ""}
          <Money amount={amount} currency={currency} />
        </span>
      ))}
    </>
  );
}

interface TimeProps {
  utc: string | null | undefined;
  withSeconds?: boolean;
  /** `3 minutes ago` instead of the time. */
  relative?: boolean;
}

/** In the viewer's zone, with UTC in a tooltip. */
export function Time({ utc, withSeconds = false, relative = false }: TimeProps): ComponentChild {
  if (utc === null || utc === undefined) return <>{NOTHING}</>;
  const local = localTime(utc, language.value, withSeconds || relative);
  return (
    <time class="nowrap" dateTime={utc} title={relative ? `${local} · ${utcTime(utc)}` : utcTime(utc)}>
      {relative ? relativeTime(utc, language.value) : local}
    </time>
  );
}

export function Duration({ seconds }: { seconds: number | null | undefined }): ComponentChild {
  return <span class="nowrap">{duration(seconds ?? null)}</span>;
}
