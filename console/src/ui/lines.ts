import { fromNano, roughly } from "../lib/decimal.ts";
import { money } from "../lib/format.ts";
import type { Series } from "./chart.tsx";

/** A plot's series of exact sums: of money in 10⁻⁹ of a unit of `currency`; null: of what is counted. */
export function lineOf(name: string, sums: readonly bigint[], currency: string | null): Series {
  if (currency === null) return { name, values: sums.map(Number) };
  const amounts = sums.map(fromNano);
  return { name, values: amounts.map(roughly), texts: amounts.map((each) => money(each, currency)) };
}
