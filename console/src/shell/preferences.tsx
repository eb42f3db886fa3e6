import type { JSX } from "preact";
import { SHELL } from "../i18n/shell.ts";
import { textsOf } from "../i18n/texts.ts";
import { language, setLanguage, setTheme, type Theme, theme } from "../lib/preferences.ts";
import { Button } from "../ui/basics.tsx";
import { IconButton } from "../ui/icon-button.tsx";
import type { IconName } from "../ui/icons.tsx";

const THEMES: readonly Theme[] = ["system", "light", "dark"];
const ICONS: Record<Theme, IconName> = { system: "auto", light: "sun", dark: "moon" };

/** Language and theme. */
export function Preferences(): JSX.Element {
  const t = textsOf(SHELL);
  const next = THEMES[(THEMES.indexOf(theme.value) + 1) % THEMES.length] ?? "system";
  const other = language.value === "zh" ? "en" : "zh";
  const label = t.theme(t.themes[theme.value]);
  return (
    <div class="row">
      <IconButton icon={ICONS[theme.value]} label={label} onClick={() => setTheme(next)} />
      <Button look="plain" lang={other === "zh" ? "zh-CN" : "en"} onClick={() => setLanguage(other)}>
        {t.language}
      </Button>
    </div>
  );
}
