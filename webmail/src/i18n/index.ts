/** Texts: catalogues by language, plural forms, dates and sizes as the language writes them. */

import { signal } from "@preact/signals";
import { en, type Catalogue, type Key } from "./en";
import { shortMoment } from "./moments";

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" } as const;
/** Between thousands. Written here because the first number of Intl takes longer than all rows of a list. */
const GROUPED: Record<Language, string> = { en: ",", de: ".", fr: "\u202f" };
export type Language = keyof typeof LANGUAGES;
export type Text = string | Partial<Record<Intl.LDMLPluralRule, string>>;

const LOADERS: Record<Language, () => Promise<Catalogue>> = {
  en: async () => en,
  de: async () => (await import("./de")).de,
  fr: async () => (await import("./fr")).fr,
};

export const language = signal<Language>("en");
let catalogue: Catalogue = en;

export function preferredLanguage(): Language {
  for (const wanted of navigator.languages) {
    const short = wanted.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short as Language;
  }
  return "en";
}

export async function setLanguage(wanted: Language): Promise<void> {
  catalogue = await LOADERS[wanted]();
  language.value = wanted;
  document.documentElement.lang = wanted;
}

/** The text of a key; {name} is replaced by values.name, and {n} chooses the plural form. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  void language.value; // whoever shows a text shows it anew in another language
  const found: Text = catalogue[key] ?? en[key];
  const text =
    typeof found === "string" ? found : (found[plural(Number(values.n ?? 0))] ?? found.other ?? "");
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

const made = new Map<string, unknown>();

/** What Intl makes is dear, and made once for each language. */
export function once<T>(name: string, make: (language: Language) => T): T {
  const key = `${language.value} ${name}`;
  let found = made.get(key) as T | undefined;
  if (!found) made.set(key, (found = make(language.value)));
  return found;
}

export function plural(n: number): Intl.LDMLPluralRule {
  return once("plural", (name) => new Intl.PluralRules(name)).select(n);
}

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  return once(name, () => new Intl.DateTimeFormat(locale(), options));
}

/** The English of the browser, so that days and months stand as its owner reads them. */
function navigatorEnglish(): string {
  return navigator.languages.find((name) => name.startsWith("en")) ?? "en";
}

/** What Intl shall write in: the language, for English the one of the browser. */
export function locale(): string {
  return language.value === "en" ? navigatorEnglish() : language.value;
}

export function number(value: number): string {
  if (Number.isInteger(value) && value >= 0) return String(value).replace(/\B(?=(\d{3})+$)/g, GROUPED[language.value]);
  return once("number", (name) => new Intl.NumberFormat(name)).format(value);
}

/** For a row: the time today, the day this year, else the date. */
export function shortDate(iso: string, now = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return shortMoment(date, now, language.value, navigatorEnglish());
}

export function longDate(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return format("long", { dateStyle: "full", timeStyle: "short" }).format(date);
}

export function mediumDate(iso: string): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  return format("medium", { dateStyle: "medium", timeStyle: "short" }).format(date);
}

const SPANS = [["day", 86_400], ["hour", 3600], ["minute", 60], ["second", 1]] as const;

/** So much time has gone by, in its greatest unit: "3 minutes". */
export function span(ms: number): string {
  const seconds = Math.round(ms / 1000);
  const [unit, length] = SPANS.find(([, one]) => seconds >= one) ?? ["second", 1];
  return once(`span ${unit}`, () => new Intl.NumberFormat(locale(), { style: "unit", unit, unitDisplay: "long" }))
    .format(Math.floor(seconds / length));
}

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function size(octets: number): string {
  let value = octets && Math.max(octets / 1000, 0.1);
  let unit = 1; // small things are parts of a kilobyte
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = value < 10 ? 1 : 0;
  return once(`size ${unit} ${digits}`, (name) => new Intl.NumberFormat(name, {
    style: "unit", unit: UNITS[unit]!, unitDisplay: "short", maximumFractionDigits: digits,
  })).format(value);
}
