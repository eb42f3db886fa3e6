import type { JSX } from "preact";
import { useEffect, useState } from "preact/hooks";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import { Button } from "./basics.tsx";
import { toast } from "./toast.tsx";

const SHOWN_MS = 1500;

/** Puts a text on the clipboard; where the browser refuses, that is told. Without a `label` it is an icon. */
export function CopyButton({
  text,
  label,
  onCopied,
}: {
  text: string;
  label?: string;
  onCopied?: (() => void) | undefined;
}): JSX.Element {
  const t = textsOf(COMMON);
  const [isCopied, setCopied] = useState(false);
  useEffect(() => {
    if (!isCopied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [isCopied]);
  const copy = async (): Promise<void> => {
    if (!(await writeText(text))) {
      toast(t.notCopied);
      return;
    }
    setCopied(true);
    onCopied?.();
  };
  return (
    <Button
      {...(label === undefined ? { "aria-label": t.copy, title: t.copy, look: "plain" as const } : {})}
      icon={isCopied ? "check" : "copy"}
      onClick={copy}
    >
      {label === undefined ? undefined : isCopied ? t.copied : label}
    </Button>
  );
}

/** True if it is there. A plain-HTTP address that is not loopback has no clipboard: there an old command works. */
async function writeText(text: string): Promise<boolean> {
  const wasWritten = await navigator.clipboard?.writeText(text).then(
    () => true,
    () => false, // forbidden, or the window has not the focus
  );
  if (wasWritten === true) return true;
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  const place = document.activeElement?.closest("dialog") ?? document.body;
  place.append(area);
  area.select();
  const wasCopied = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return wasCopied;
}

interface CodeProps {
  text: string;
  label: string;
  /** What is read, where that is shorter than what is copied. */
  shown?: string;
  onCopied?: () => void;
}

/** Text to read and to copy. */
export function Code({ text, label, shown = text, onCopied }: CodeProps): JSX.Element {
  return (
    <div class="code">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard */}
      <section tabIndex={0} aria-label={label}>
        <pre>{shown}</pre>
      </section>
      <CopyButton text={text} onCopied={onCopied} />
    </div>
  );
}
