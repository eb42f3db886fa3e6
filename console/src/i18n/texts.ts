import { language } from "../lib/preferences.ts";

/** What a dictionary has: texts, functions that make texts, and further dictionaries. */
type Entry = string | ((...values: never[]) => string) | { [name: string]: Entry };

/** The texts of a page in both languages. */
export interface Texts<Dictionary> {
  en: Dictionary;
  zh: Dictionary;
}

/**
 * The texts of a page, side by side. The Chinese ones must have the same names and take the same arguments.
 * They are written, not translated.
 */
export function texts<Dictionary extends { [name: string]: Entry }>(
  en: Dictionary,
  zh: NoInfer<Dictionary>,
): Texts<Dictionary> {
  return { en, zh };
}

/** The texts in the language that is set. A component that reads them is rendered anew when it changes. */
export function textsOf<Dictionary>(both: Texts<Dictionary>): Dictionary {
  return both[language.value];
}
