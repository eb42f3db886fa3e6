import type { ComponentType, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { PlainText } from "./plain-text.tsx";
import { isPlain } from "./store.ts";

type MarkdownType = ComponentType<{ text: string }>;
let loaded: MarkdownType | null = null;

/** The text of an answer: as Markdown, or as it came. The parser is loaded with the first answer. */
export function Prose({ text }: { text: string }): JSX.Element {
  const [Markdown, setMarkdown] = useState<MarkdownType | null>(() => loaded);
  useEffect(() => {
    if (Markdown !== null) return;
    let isGone = false;
    import("./markdown.tsx").then((module) => {
      loaded = module.default;
      if (!isGone) setMarkdown(() => module.default);
    });
    return () => {
      isGone = true;
    };
  }, [Markdown]);
  if (Markdown === null || isPlain.value) return <PlainText text={text} />;
  return <Markdown text={text} />;
}
