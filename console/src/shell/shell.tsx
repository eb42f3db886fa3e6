import type { ComponentChildren, JSX } from "preact";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import { isConnected } from "../api/connection.ts";
import { health } from "../api/live.ts";
import { isAdmin, session, signOut } from "../api/session.ts";
import { SHELL } from "../i18n/shell.ts";
import { textsOf } from "../i18n/texts.ts";
import { Button } from "../ui/basics.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { IconButton } from "../ui/icon-button.tsx";
import { Icon, Mark } from "../ui/icons.tsx";
import { toast } from "../ui/toast.tsx";
import { Palette, Shortcuts } from "./palette.tsx";
import { PALETTE } from "./palette-texts.ts";
import { Preferences } from "./preferences.tsx";
import { isAt, placesOf } from "./routes.ts";
import { PAGE_KEYS, PALETTE_KEYS, useShortcuts } from "./shortcuts.ts";

/** What is around each page: brand, health, navigation, who is signed in. */
export function Shell({ children }: { children: ComponentChildren }): JSX.Element {
  const t = textsOf(SHELL);
  const { path, route } = useLocation();
  const [isMenuOpen, setMenuOpen] = useState(false);
  const [asked, setAsked] = useState<"palette" | "shortcuts" | null>(null);
  const openPalette = useCallback(() => setAsked("palette"), []);
  const openShortcuts = useCallback(() => setAsked("shortcuts"), []);
  const goTo = useCallback(
    (key: string) => {
      const place = placesOf(isAdmin.value).find(({ name }) => PAGE_KEYS[name] === key);
      if (place !== undefined) route(place.path);
    },
    [route],
  );
  useShortcuts({ onPalette: openPalette, onHelp: openShortcuts, onPage: goTo });
  useEffect(() => setMenuOpen(false), [path]);
  return (
    <>
      <a class="skip" href="#content">
        {t.skip}
      </a>
      <div class="shell">
        <aside class="side">
          <Brand />
          <Health />
          <Search onOpen={openPalette} />
          <Navigation />
          <Who />
        </aside>
        <header class="top">
          <Button look="plain" icon="menu" aria-label={t.menu} onClick={() => setMenuOpen(true)} />
          <Brand />
          <Health />
          <Button look="plain" icon="search" aria-label={textsOf(PALETTE).search} onClick={openPalette} />
        </header>
        {isMenuOpen ? (
          <Dialog title="llmgw" look="drawer left" onClose={() => setMenuOpen(false)}>
            <Navigation />
            <Who />
          </Dialog>
        ) : null}
        {asked === "palette" ? <Palette onClose={() => setAsked(null)} /> : null}
        {asked === "shortcuts" ? <Shortcuts onClose={() => setAsked(null)} /> : null}
        <div class="main">
          <Connection />
          <main id="content" tabIndex={-1}>
            {children}
          </main>
        </div>
      </div>
    </>
  );
}

/** Opens the palette; says with which keys that goes too. */
function Search({ onOpen }: { onOpen: () => void }): JSX.Element {
  const t = textsOf(PALETTE);
  return (
    <button type="button" class="to-palette" onClick={onOpen}>
      <Icon name="search" />
      <span class="grow">{t.search}</span>
      <span aria-hidden="true">
        {PALETTE_KEYS.map((key) => (
          <kbd key={key}>{key}</kbd>
        ))}
      </span>
    </button>
  );
}

function Brand(): JSX.Element {
  return (
    <a class="brand" href="/console/">
      <Mark /> llmgw
    </a>
  );
}

const TONES = { ok: "good", degraded: "warn", unavailable: "bad", lost: "bad" } as const;

/** How the gateway is, in two words; the first page says why. */
function Health(): JSX.Element | null {
  const t = textsOf(SHELL);
  const state = health.value;
  if (state === null || !isAdmin.value) return null;
  return (
    <a class="health" href="/console/">
      <span class={`status-dot ${TONES[state]}`} />
      {t.status[state]}
    </a>
  );
}

function Navigation(): JSX.Element {
  const t = textsOf(SHELL);
  const { path } = useLocation();
  return (
    <nav class="nav" aria-label={t.navigation}>
      <ul>
        {placesOf(isAdmin.value).map((place) => (
          <li key={place.name}>
            <a href={place.path} aria-current={isAt(place, path) ? "page" : undefined}>
              <Icon name={place.icon} />
              {t.pages[place.name]}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  );
}

function Who(): JSX.Element | null {
  const t = textsOf(SHELL);
  const who = session.value;
  if (who === null) return null;
  return (
    <div class="who stack">
      <div>
        <div class="name" title={who.name}>
          {who.name}
        </div>
        <div class="muted small">{t.kinds[who.kind]}</div>
      </div>
      <div class="row apart">
        <Preferences />
        <IconButton icon="leave" label={t.signOut} onClick={signOut} />
      </div>
    </div>
  );
}

/** Says that the gateway does not answer, as long as it does not. */
function Connection(): JSX.Element | null {
  const t = textsOf(SHELL);
  const wasLost = useRef(false);
  const connected = isConnected.value;
  useEffect(() => {
    if (connected && wasLost.current) toast(t.back);
    wasLost.current = !connected;
  }, [connected, t.back]);
  if (connected) return null;
  return (
    <div class="banner" role="alert">
      <Icon name="warn" /> {t.lost}
    </div>
  );
}
