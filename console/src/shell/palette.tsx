import type { JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { isAdmin } from "../api/session.ts";
import { SHELL } from "../i18n/shell.ts";
import { textsOf } from "../i18n/texts.ts";
import { language } from "../lib/preferences.ts";
import { useResource } from "../lib/resource.ts";
import { FaultNote } from "../ui/basics.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { among, type Destination, keysFor, listed, pagesFor, requestFor } from "./destinations.ts";
import { PALETTE } from "./palette-texts.ts";
import { placesOf } from "./routes.ts";
import { PAGE_KEYS, PALETTE_KEYS } from "./shortcuts.ts";

const PAUSE_MS = 150;
const STEPS: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };

/** Goes to whatever is typed: a combobox, as the ARIA patterns have it. */
export function Palette({ onClose }: { onClose: () => void }): JSX.Element {
  const t = textsOf(PALETTE);
  const { route } = useLocation();
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const wanted = text.trim();
  const { all, isLoading, fault } = useDestinations(wanted);
  const chosen = Math.min(at, all.length - 1);
  const active = all[chosen];
  // After the dialog has opened, which puts the focus on its first button; and before the next key.
  useLayoutEffect(() => input.current?.focus(), []);
  useEffect(() => {
    document.getElementById(`${id}-${chosen}`)?.scrollIntoView({ block: "nearest" });
  }, [id, chosen]);
  const open = (destination: Destination): void => {
    onClose();
    route(destination.path);
  };
  const press = (event: KeyboardEvent): void => {
    if (event.isComposing) return;
    const step = STEPS[event.key];
    if (step !== undefined && all.length > 0) {
      event.preventDefault();
      setAt((chosen + step + all.length) % all.length);
    } else if (event.key === "Enter" && active !== undefined) {
      event.preventDefault();
      open(active);
    } else if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
      event.preventDefault();
      onClose();
    }
  };
  return (
    <Dialog title={t.title} onClose={onClose}>
      <input
        ref={input}
        class="input"
        type="text"
        role="combobox"
        aria-label={t.label}
        aria-expanded={all.length > 0}
        aria-controls={`${id}-list`}
        aria-autocomplete="list"
        {...(active === undefined ? {} : { "aria-activedescendant": `${id}-${chosen}` })}
        autocomplete="off"
        spellcheck={false}
        placeholder={t.label}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={press}
      />
      <div id={`${id}-list`} class="palette" role="listbox" aria-label={t.results}>
        {all.map((each, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are those of the field, which keeps the focus
          <div
            key={each.path}
            id={`${id}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === chosen}
            onClick={() => open(each)}
          >
            <span class="grow">{each.name}</span>
            <span class="muted small">{t.kinds[each.kind]}</span>
          </div>
        ))}
      </div>
      <p class="muted small" role="status">
        {all.length === 0 ? (isLoading ? t.searching : t.nothing) : null}
      </p>
      {fault === undefined ? null : <FaultNote fault={fault} />}
      <p class="muted small">{t.hint}</p>
    </Dialog>
  );
}

interface Found {
  all: Destination[];
  isLoading: boolean;
  fault: Error | undefined;
}

/** What is called so. A model key has its own pages only. */
function useDestinations(text: string): Found {
  const [asked, setAsked] = useState("");
  useEffect(() => {
    const timer = setTimeout(() => setAsked(text), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const lists = useResource(isAdmin.value ? "all" : null, listed);
  const keys = useResource(isAdmin.value && asked !== "" ? asked : null, (signal) => keysFor(asked, signal));
  const pages = pagesFor(text, language.value);
  if (text === "") return { all: pages, isLoading: false, fault: undefined };
  // Of what was typed before, the keys say nothing.
  const foundKeys = asked === text ? (keys.data ?? []) : [];
  return {
    all: [...requestFor(text), ...pages, ...foundKeys, ...among(lists.data ?? [], text)],
    isLoading: isAdmin.value && (asked !== text || keys.isLoading || lists.isLoading),
    fault: lists.fault ?? keys.fault,
  };
}

/** Which keys do what. */
export function Shortcuts({ onClose }: { onClose: () => void }): JSX.Element {
  const t = textsOf(PALETTE);
  const names = textsOf(SHELL).pages;
  return (
    <Dialog title={t.shortcuts} onClose={onClose}>
      <dl class="facts">
        <Row keys={PALETTE_KEYS} what={t.anywhere} />
        <Row keys={["?"]} what={t.help} />
        <Row keys={["/"]} what={t.filter} />
        {placesOf(isAdmin.value).map(({ name }) => (
          <Row key={name} keys={["g", PAGE_KEYS[name]]} between={t.between} what={t.goTo(names[name])} />
        ))}
      </dl>
      <p class="muted small">{t.idle}</p>
    </Dialog>
  );
}

interface RowProps {
  keys: readonly string[];
  /** Said between two that are pressed one after the other. */
  between?: string;
  what: string;
}

function Row({ keys, between, what }: RowProps): JSX.Element {
  return (
    <>
      <dt>
        {keys.map((key, index) => (
          <span key={key}>
            {index > 0 && between !== undefined ? <span class="small"> {between} </span> : null}
            <kbd>{key}</kbd>{" "}
          </span>
        ))}
      </dt>
      <dd>{what}</dd>
    </>
  );
}
