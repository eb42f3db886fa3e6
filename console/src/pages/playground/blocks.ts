/** Markdown in pieces that stay, so that a growing answer is not read anew with every frame. No DOM here. */
import { lexer, type Token } from "marked";

export interface Blocks {
  /** Of the text that they are made of: it is read on from here. */
  readChars: number;
  /** Will not change, whatever comes after them. */
  settled: readonly Token[];
  /** The last blocks, which may yet grow. */
  open: readonly Token[];
  text: string;
}

export const NO_BLOCKS: Blocks = { readChars: 0, settled: [], open: [], text: "" };

/** The blocks of a text, out of those of its beginning where it has only grown. */
export function blocksOf(text: string, before: Blocks = NO_BLOCKS): Blocks {
  if (text === before.text) return before;
  const isLonger = text.startsWith(before.text.slice(0, before.readChars));
  const from = isLonger ? before : NO_BLOCKS;
  const tokens: Token[] = [...lexer(text.slice(from.readChars))];
  const last = tokens.findLastIndex((token) => token.type !== "space");
  const done = tokens.slice(0, Math.max(last, 0));
  const size = done.reduce((sum, token) => sum + token.raw.length, 0);
  // The lexer may have changed what it read (tabs, line ends): then nothing is settled by its length.
  const isExact = text.startsWith(done.map((token) => token.raw).join(""), from.readChars);
  if (!isExact) return { ...from, open: tokens, text };
  return {
    readChars: from.readChars + size,
    settled: done.length === 0 ? from.settled : [...from.settled, ...done],
    open: tokens.slice(done.length),
    text,
  };
}

const SAFE = /^(https?:|mailto:)/i;

/** An address that a link may have; null for any other, such as `javascript:`. */
export function safeHref(href: string): string | null {
  return SAFE.test(href) && URL.canParse(href) ? href : null;
}

const NAMED: Readonly<Record<string, string>> = {
  amp: "&",
  lt: "<",
  gt: ">",
  quot: '"',
  apos: "'",
  nbsp: "\u00a0",
};
const LAST_CODE_POINT = 0x10ffff;

/** The character references that models write, as characters; others stay as they are. */
export function withCharacters(text: string): string {
  if (!text.includes("&")) return text;
  return text.replace(/&(?:#(\d{1,7})|#x([0-9a-f]{1,6})|(\w{2,4}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return NAMED[String(name)] ?? whole;
    const code = decimal === undefined ? Number.parseInt(hex, 16) : Number(decimal);
    return code > 0 && code <= LAST_CODE_POINT ? String.fromCodePoint(code) : whole;
  });
}
