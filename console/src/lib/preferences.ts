import { effect, signal } from "@preact/signals";
import { store, stored } from "./storage.ts";

export type Theme = "system" | "light" | "dark";
export type Language = "en" | "zh";

const THEME = "llmgw.theme";
const LANGUAGE = "llmgw.language";

function chosen<Value extends string>(name: string, known: readonly Value[]): Value | null {
  const value = stored("localStorage", name);
  return known.find((each) => each === value) ?? null;
}

function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export const theme = signal<Theme>(chosen(THEME, ["system", "light", "dark"]) ?? "system");
export const language = signal<Language>(chosen(LANGUAGE, ["en", "zh"]) ?? browserLanguage());

const prefersDark = window.matchMedia("(prefers-color-scheme: dark)");
/** What is seen, whatever was chosen. Plots draw anew when it changes. */
export const isDark = signal(prefersDark.matches);

export function setTheme(value: Theme): void {
  theme.value = value;
  store("localStorage", THEME, value);
}

export function setLanguage(value: Language): void {
  language.value = value;
  store("localStorage", LANGUAGE, value);
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
