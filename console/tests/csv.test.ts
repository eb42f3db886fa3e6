import assert from "node:assert/strict";
import { test } from "node:test";
import { type Cell, csvLine } from "../src/lib/csv.ts";

const ROWS: readonly (readonly [name: string, values: Cell[], line: string])[] = [
  ["plain", ["a", 1, true], "a,1,true"],
  ["nothing", [null, undefined, ""], ",,"],
  ["a comma", ["a,b"], '"a,b"'],
  ["a quote", ['say "hi"'], '"say ""hi"""'],
  ["a line break", ["a\nb"], '"a\nb"'],
  ["a formula", ["=HYPERLINK(1)"], "'=HYPERLINK(1)"],
  ["a formula with a comma", ["@SUM(1,2)"], '"\'@SUM(1,2)"'],
  ["a negative number is no formula", [-3], "-3"],
];

for (const [name, values, line] of ROWS) test(name, () => assert.equal(csvLine(values), `${line}\r\n`));
