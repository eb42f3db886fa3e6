/** Long texts in pieces, so that only the last of them is laid out anew while a text grows. No DOM here. */

/** A piece is at least this long, but for the last one. */
const PIECE_CHARS = 2000;

/** A text cut after some of its lines; the line ends at the cuts are left out. */
export function piecesOf(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (;;) {
    const cut = text.indexOf("\n", from + PIECE_CHARS);
    if (cut < 0) return [...pieces, text.slice(from)];
    pieces.push(text.slice(from, cut));
    from = cut + 1;
  }
}
