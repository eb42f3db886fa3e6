import type { JSX } from "preact";
import { piecesOf } from "./pieces.ts";

/** A text as it is, with its spaces and line ends. */
export function PlainText({ text }: { text: string }): JSX.Element {
  return (
    <div class="plain-text">
      {piecesOf(text).map((piece, index) => (
        <div key={index}>{piece}</div>
      ))}
    </div>
  );
}
