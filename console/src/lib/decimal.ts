/** Sums of money are exact decimal texts of at most nine decimals; here they are added as whole numbers. */

const DECIMALS = 9;
const UNIT = 10n ** BigInt(DECIMALS);

/** `"1.5"` → 1500000000n. */
export function toNano(amount: string): bigint {
  const isNegative = amount.startsWith("-");
  const [whole = "0", decimals = ""] = amount.replace("-", "").split(".");
  const nano = BigInt(whole) * UNIT + BigInt(decimals.padEnd(DECIMALS, "0").slice(0, DECIMALS));
  return isNegative ? -nano : nano;
}

/** 1500000000n → `"1.50"`: two decimals at least, no zeros behind them. */
export function fromNano(nano: bigint): string {
  const size = nano < 0n ? -nano : nano;
  const decimals = (size % UNIT).toString().padStart(DECIMALS, "0").replace(/0+$/, "").padEnd(2, "0");
  return `${nano < 0n ? "-" : ""}${size / UNIT}.${decimals}`;
}

/** Amounts by currency. */
export type Amounts = Record<string, string>;

function combined(first: Amounts, second: Amounts, sign: bigint): Amounts {
  const all: Amounts = { ...first };
  for (const [currency, amount] of Object.entries(second)) {
    all[currency] = fromNano(toNano(all[currency] ?? "0") + sign * toNano(amount));
  }
  return all;
}

/** Both, currency by currency. */
export function added(first: Amounts, second: Amounts): Amounts {
  return combined(first, second, 1n);
}

/** The first without the second, currency by currency. */
export function subtracted(first: Amounts, second: Amounts): Amounts {
  return combined(first, second, -1n);
}

export function isZero(amount: string): boolean {
  return /^[0.]*$/.test(amount);
}

/** For a plot or a bar, where a little is lost: never for what is shown as text. */
export function roughly(amount: string): number {
  return Number(amount);
}
