import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "zh";

const THEME = "llmgw.theme";
const LANGUAGE = "llmgw.language";

function stored<Value extends string>(name: string, known: readonly Value[]): Value | null {
  try {
    const value = localStorage.getItem(name);
    return known.find((each) => each === value) ?? null;
  } catch {
    return null; // storage may be forbidden
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // It holds for this page then.
  }
}

function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const theme = signal<Theme>(stored(THEME, ["system", "light", "dark"]) ?? "system");
export const language = signal<Language>(stored(LANGUAGE, ["en", "zh"]) ?? browserLanguage());

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
/** What is seen, whatever was chosen. Plots draw anew when it changes. */
export const isDark = signal(prefersDark.matches);

export function setTheme(value: Theme): void {
  theme.value = value;
  store(THEME, value);
}

export function setLanguage(value: Language): void {
  language.value = value;
  store(LANGUAGE, value);
}

effect(() => {
  const { dataset } = document.documentElement;
  if (theme.value === "system") delete dataset["theme"];
  else dataset["theme"] = theme.value;
  isDark.value = theme.value === "dark" || (theme.value === "system" && prefersDark.matches);
});
effect(() => {
  document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});
prefersDark.addEventListener("change", () => {
  if (theme.value === "system") isDark.value = prefersDark.matches;
});
