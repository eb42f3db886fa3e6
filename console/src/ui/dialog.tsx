import type { ComponentChildren, JSX } from "preact";
import { useId, useLayoutEffect, useRef } from "preact/hooks";
import { COMMON } from "../i18n/common.ts";
import { textsOf } from "../i18n/texts.ts";
import { Button } from "./basics.tsx";

interface DialogProps {
  title: string;
  /** `drawer`: from the right, for details beside a table. */
  look?: "wide" | "drawer" | "drawer left";
  onClose: () => void;
  /** True where closing would lose something: then only its own buttons close it. */
  isHeld?: boolean;
  children: ComponentChildren;
}

/** A modal dialog: the browser's own, which keeps the focus inside and gives it back. */
export function Dialog({ title, look, onClose, isHeld = false, children }: DialogProps): JSX.Element {
  const t = textsOf(COMMON);
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useLayoutEffect(() => {
    const dialog = element.current;
    dialog?.showModal();
    return () => dialog?.close(); // which gives the focus back, as long as it is in the document
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it too, by `cancel`
    <dialog
      ref={element}
      class={`dialog ${look ?? ""}`}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        if (!isHeld) onClose();
      }}
      onClose={() => {
        // A second Escape closes it without asking: browsers let no page hold it.
        const { current } = element;
        if (current?.isConnected !== true || current.open) return;
        if (isHeld) current.showModal();
        else onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current && !isHeld) onClose();
      }}
    >
      <header>
        <h2 id={id}>{title}</h2>
        {isHeld ? null : <Button look="plain" icon="close" aria-label={t.close} onClick={onClose} />}
      </header>
      <div class="body">{children}</div>
    </dialog>
  );
}

interface ConfirmProps {
  title: string;
  /** What the button says: the deed, not "OK". */
  deed: string;
  isBusy: boolean;
  onConfirm: () => void;
  onClose: () => void;
  children: ComponentChildren;
}

/** Asks before something that can't be undone. */
export function Confirm({ title, deed, isBusy, onConfirm, onClose, children }: ConfirmProps): JSX.Element {
  const t = textsOf(COMMON);
  return (
    <Dialog title={title} onClose={onClose}>
      {children}
      <div class="row end">
        <Button onClick={onClose}>{t.cancel}</Button>
        <Button look="danger" isBusy={isBusy} onClick={onConfirm}>
          {deed}
        </Button>
      </div>
    </Dialog>
  );
}
