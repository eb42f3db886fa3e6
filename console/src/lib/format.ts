import { now as gatewayTime } from "./clock.ts";
import type { Language } from "./preferences.ts";

/** For `Intl`. */
export const LOCALES: Record<Language, string> = { en: "en-GB", zh: "zh-CN" };
/** Shown where there is no value. */
export const NOTHING = "–";

/** `1234567` → `1,234,567`. */
export function grouped(value: number): string {
  return value.toLocaleString("en-US", { maximumFractionDigits: 20 });
}

const STEPS: readonly (readonly [number, string])[] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
];

/** Three significant digits: `1234567` → `1.23M`; below a thousand the number itself. */
export function shortened(value: number): string {
  for (const [step, suffix] of STEPS) {
    // 999,999 is 1M, not 1000k.
    if (Math.abs(value) >= step * 0.9995) return `${threeDigits(value / step)}${suffix}`;
  }
  return threeDigits(value);
}

function threeDigits(value: number): string {
  return String(Number(value.toPrecision(3)));
}

const SYMBOLS: Record<string, string> = { CNY: "¥", USD: "$", EUR: "€", GBP: "£", HKD: "HK$" };
const SMALL_DECIMALS = 4;

/**
 * An exact decimal amount for people: `1234.567`, `CNY` → `¥1,234.56`.
 *
 * The text is cut, never made a number. Amounts below one unit keep four decimals, or their first two digits.
 */
export function money(amount: string, currency: string): string {
  const sign = amount.startsWith("-") ? "−" : "";
  const [whole = "0", decimals = ""] = amount.replace("-", "").split(".");
  const shown = `${groupedText(whole)}.${shownDecimals(whole, decimals)}`;
  const symbol = SYMBOLS[currency];
  return symbol === undefined ? `${sign}${shown} ${currency}` : `${sign}${symbol}${shown}`;
}

/** The same with all its decimals: `1,234.567 CNY`. */
export function exactMoney(amount: string, currency: string): string {
  const [whole = "0", decimals = ""] = amount.split(".");
  return `${groupedText(whole)}.${decimals.padEnd(2, "0")} ${currency}`;
}

/** The same of a text of digits, of any length. */
export function groupedText(digits: string): string {
  return digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
}

function shownDecimals(whole: string, decimals: string): string {
  if (whole !== "0" || /^0*$/.test(decimals)) return decimals.slice(0, 2).padEnd(2, "0");
  const zeros = /^0*/.exec(decimals)?.[0].length ?? 0;
  return decimals
    .slice(0, Math.max(SMALL_DECIMALS, zeros + 2))
    .replace(/0+$/, "")
    .padEnd(2, "0");
}

const DURATION_UNITS: readonly (readonly [number, string])[] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** Seconds for people: `0.412` → `412 ms`, `75` → `1 min 15 s`. */
export function duration(seconds: number | null): string {
  if (seconds === null) return NOTHING;
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${threeDigits(seconds)} s`;
  let rest = Math.round(seconds);
  const parts: string[] = [];
  for (const [step, unit] of DURATION_UNITS) {
    const count = Math.floor(rest / step);
    rest -= count * step;
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break;
  }
  return parts.slice(0, 2).join(" ");
}

const SIZES = ["B", "KiB", "MiB", "GiB", "TiB"] as const;

/** A size for people: `1536` → `1.5 KiB`. */
export function bytes(size: number): string {
  let value = size;
  let step = 0;
  while (value >= 1024 && step < SIZES.length - 1) {
    value /= 1024;
    step += 1;
  }
  return `${threeDigits(value)} ${SIZES[step]}`;
}

/** A share of one: `0.853` → `85.3 %`. */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${threeDigits(share * 100)} %` : NOTHING;
}

/** In the viewer's zone, with the year only where it is another than now. */
export function localTime(
  utc: string,
  language: Language,
  withSeconds = false,
  now = new Date(gatewayTime()),
): string {
  const at = new Date(utc);
  return new Intl.DateTimeFormat(LOCALES[language], {
    month: "short",
    day: "numeric",
    hour: "2-digit",
    minute: "2-digit",
    hourCycle: "h23",
    ...(withSeconds ? { second: "2-digit" } : {}),
    ...(at.getFullYear() === now.getFullYear() ? {} : { year: "numeric" }),
  }).format(at);
}

/** `2026-11-26 08:00:00 UTC`. */
export function utcTime(utc: string): string {
  return `${new Date(utc).toISOString().slice(0, 19).replace("T", " ")} UTC`;
}

const AGES: readonly (readonly [number, Intl.RelativeTimeFormatUnit])[] = [
  [86_400, "day"],
  [3_600, "hour"],
  [60, "minute"],
];

/** `3 minutes ago`, `in 2 days`. */
export function relativeTime(utc: string, language: Language, now = gatewayTime()): string {
  const seconds = (new Date(utc).getTime() - now) / 1000;
  const format = new Intl.RelativeTimeFormat(LOCALES[language], { numeric: "auto" });
  for (const [step, unit] of AGES) {
    if (Math.abs(seconds) >= step) return format.format(Math.trunc(seconds / step), unit);
  }
  return format.format(Math.trunc(seconds), "second");
}

/** The zone that times are shown in, such as `Asia/Shanghai`. */
export function viewerZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** The latencies of the admin API end here: what took longer has no number. */
const LONGEST_S = 60;

/** Of half of the answers, and of 95 %; the second may be beyond what is measured. */
export function latencyWords(half: number | null | undefined, most: number | null | undefined): string {
  if (half === null || half === undefined) return NOTHING;
  return `${duration(half)} · ${most === null || most === undefined ? `> ${duration(LONGEST_S)}` : duration(most)}`;
}
