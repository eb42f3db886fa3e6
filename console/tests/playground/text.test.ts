import assert from "node:assert/strict";
import { test } from "node:test";
import type { Token } from "marked";
import {
  type Blocks,
  blocksOf,
  NO_BLOCKS,
  safeHref,
  withCharacters,
} from "../../src/pages/playground/blocks.ts";
import { piecesOf } from "../../src/pages/playground/pieces.ts";

const TEXTS = [
  "# Title\n\nA *paragraph* of `code`\nthat goes on.\n\nAnother\n===\n",
  "- a\n- b\n\n- c, loose\n\n  more of c\n\nend",
  "1. one\n   - inner\n2. two\n\n```js\nlet a = 1;\n\n// still code\n```\n\nafter",
  "| a | b |\n| - | - |\n| 1 | 2 |\n| 3 | 4 |\n\n> quoted\nlazy\n\n> more\n\n---\n\n<b>x</b>\n\ny",
  "中文。\n\n**粗体**，还有\r\n换行\r\n\r\n结尾\n\n\n\n",
  "\tindented\n\n\tcode\n\ntext\twith tab",
];

const shape = (tokens: readonly Token[]) =>
  JSON.stringify(
    tokens.filter(({ type }) => type !== "space"),
    (name, value) => (name === "raw" ? undefined : value),
  );

for (const [number, text] of TEXTS.entries()) {
  test(`a growing text has the same blocks as the whole: ${number}`, () => {
    let blocks: Blocks = NO_BLOCKS;
    for (let end = 0; end <= text.length; end += 1) {
      const before = blocks.settled;
      blocks = blocksOf(text.slice(0, end), blocks);
      assert.deepEqual(blocks.settled.slice(0, before.length), before);
    }
    const whole = blocksOf(text);
    assert.equal(shape([...blocks.settled, ...blocks.open]), shape([...whole.settled, ...whole.open]));
  });
}

test("another text begins anew", () => {
  const first = blocksOf("one\n\ntwo\n\nthree");
  assert.ok(first.settled.length > 0);
  const other = blocksOf("other", first);
  assert.equal(other.settled.length, 0);
  assert.equal(shape(other.open), shape(blocksOf("other").open));
});

test("only some addresses are links", () => {
  for (const href of ["https://example.com/a?b#c", "HTTP://example.com", "mailto:a@example.com"]) {
    assert.equal(safeHref(href), href);
  }
  for (const href of [
    "javascript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,x",
    "/a",
    "//a.b",
    "https://",
    "",
  ]) {
    assert.equal(safeHref(href), null);
  }
});

test("character references", () => {
  const rows = [
    ["a &amp; b &lt;c&gt;", "a & b <c>"],
    ["&#20013;&#x6587;", "中文"],
    ["&#0; &#x110000; &bogus; &toString; R&D", "&#0; &#x110000; &bogus; &toString; R&D"],
  ] as const;
  for (const [from, to] of rows) assert.equal(withCharacters(from), to);
});

test("pieces", () => {
  const long = "x".repeat(1990);
  const text = `${long}\n${long}\n\n${long}\nend`;
  const pieces = piecesOf(text);
  assert.equal(pieces.join("\n"), text);
  assert.deepEqual(
    pieces.map((piece) => piece.length),
    [1990 + 1 + 1990, 1 + 1990 + 4],
  );
  assert.deepEqual(piecesOf(""), [""]);
});
