import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { COMMON } from "../../i18n/common.ts";
import { textsOf } from "../../i18n/texts.ts";
import { Button } from "../../ui/basics.tsx";

/** Ctrl or ⌘ with Enter. */
export function isSendKey(event: KeyboardEvent): boolean {
  return event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.isComposing;
}

interface EditorProps {
  label: string;
  text: string;
  onSave: (text: string) => void;
  onClose: () => void;
}

/** A text that is changed in its place. */
export function Editor({ label, text, onSave, onClose }: EditorProps): JSX.Element {
  const t = textsOf(COMMON);
  const [changed, setChanged] = useState(text);
  return (
    <div class="stack tight">
      <textarea
        class="input"
        aria-label={label}
        rows={Math.min(Math.max(3, changed.split("\n").length), 20)}
        value={changed}
        onInput={(event) => setChanged(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === "Escape") onClose();
          if (isSendKey(event)) onSave(changed);
        }}
      />
      <div class="row end">
        <Button onClick={onClose}>{t.cancel}</Button>
        <Button look="primary" onClick={() => onSave(changed)}>
          {t.save}
        </Button>
      </div>
    </div>
  );
}
