import assert from "node:assert/strict";
import { test } from "node:test";
import {
  bytes,
  duration,
  exactMoney,
  grouped,
  money,
  percent,
  relativeTime,
  shortened,
  utcTime,
} from "../src/lib/format.ts";

type Row = readonly [name: string, shown: string, expected: string];

const ROWS: readonly Row[] = [
  ["numbers are grouped", grouped(1_234_567), "1,234,567"],
  ["a small count stays", shortened(999), "999"],
  ["a thousand", shortened(1_000), "1k"],
  ["three digits", shortened(1_234_567), "1.23M"],
  ["what rounds up takes the next unit", shortened(999_999), "1M"],
  ["billions are G", shortened(12_345_678_901), "12.3G"],
  ["money with its sign", money("1234.5", "CNY"), "¥1,234.50"],
  ["money is cut, not rounded", money("1234.569", "CNY"), "¥1,234.56"],
  ["small money keeps digits that count", money("0.000012345", "USD"), "$0.000012"],
  ["money below one has four decimals", money("0.123456", "CNY"), "¥0.1234"],
  ["no money", money("0.00", "CNY"), "¥0.00"],
  ["an unknown currency is named", money("5", "CHF"), "5.00 CHF"],
  ["a debt", money("-3.5", "CNY"), "−¥3.50"],
  [
    "money that no float holds",
    exactMoney("90071992547409.910000001", "CNY"),
    "90,071,992,547,409.910000001 CNY",
  ],
  ["milliseconds", duration(0.4124), "412 ms"],
  ["nearly a second", duration(0.9996), "1 s"],
  ["seconds", duration(12.345), "12.3 s"],
  ["minutes", duration(75), "1 min 15 s"],
  ["nearly a minute", duration(59.96), "1 min"],
  ["hours", duration(7_200), "2 h"],
  ["days and hours", duration(100_000), "1 d 3 h"],
  ["no time is known", duration(null), "–"],
  ["bytes", bytes(512), "512 B"],
  ["mebibytes", bytes(5 * 1024 * 1024), "5 MiB"],
  ["a share", percent(0.8531), "85.3 %"],
  ["a share of nothing", percent(0 / 0), "–"],
  ["utc", utcTime("2026-11-26T08:00:00.125Z"), "2026-11-26 08:00:00 UTC"],
  [
    "some minutes ago",
    relativeTime("2026-11-26T08:00:00Z", "en", Date.parse("2026-11-26T08:03:10Z")),
    "3 minutes ago",
  ],
  ["in some days", relativeTime("2026-11-28T08:00:00Z", "zh", Date.parse("2026-11-25T08:00:00Z")), "3天后"],
];

for (const [name, shown, expected] of ROWS) test(name, () => assert.equal(shown, expected));
