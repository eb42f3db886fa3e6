import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import test from "node:test";

type Classes = readonly string[];

const read = (path: string): string => readFileSync(path, "utf8");

/** What each selector needs on elements of a page: `.a.b > .c` → [[a, b], [c]]. */
function selectorsIn(css: string): { text: string; needs: readonly Classes[] }[] {
  const rules = css.replaceAll(/\/\*.*?\*\//gs, "").matchAll(/([^{}]+)\{/g);
  const selectors = [...rules].flatMap(([, all = ""]) => all.split(",").map((each) => each.trim()));
  return selectors
    .filter((text) => !text.startsWith("@"))
    .map((text) => ({
      text,
      needs: (text.match(/(?:\.[a-z][\w-]*)+/g) ?? []).map((each) => each.slice(1).split(".")),
    }));
}

/** The classes that components give to each of their elements. */
function elementsIn(tsx: string): Classes[] {
  const found = tsx.matchAll(/class=(?:"([^"]*)"|\{`([^`]*)`\})/g);
  return [...found].map(([, text, made]) => (text ?? made ?? "").match(/[a-z][\w-]*/g) ?? []);
}

// A page's stylesheet stays in the document when another page is opened.
test("no page is styled by the stylesheet of another", () => {
  const sheets = globSync("src/pages/*/*.css");
  const pages = new Set(globSync("src/pages/*/*.tsx").map(dirname));
  assert.ok(sheets.length > 0 && pages.size > 0);
  for (const sheet of sheets) {
    for (const page of pages) {
      const text = globSync(`${page}/*.tsx`).map(read).join("\n");
      const imported = [...text.matchAll(/import "([^"]*\.css)"/g)].map(([, path = ""]) =>
        resolve(page, path),
      );
      if (page === dirname(sheet) || imported.includes(resolve(sheet))) continue;
      const elements = elementsIn(text);
      const applies = (needs: Classes): boolean =>
        elements.some((element) => needs.every((each) => element.includes(each)));
      const leaks = selectorsIn(read(sheet)).filter(({ needs }) => needs.every(applies));
      assert.deepEqual(
        leaks.map((each) => each.text),
        [],
        `${sheet} styles ${page}`,
      );
    }
  }
});
