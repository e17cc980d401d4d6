/** Texts: catalogues by language, plural forms, dates and sizes as the language writes them. */

import { signal } from "@preact/signals";
import { en, type Catalogue, type Key } from "./en";

export const LANGUAGES = { en: "English", de: "Deutsch", fr: "Français" } as const;
export type Language = keyof typeof LANGUAGES;
export type Text = string | Partial<Record<Intl.LDMLPluralRule, string>>;

const LOADERS: Record<Language, () => Promise<Catalogue>> = {
  en: async () => en,
  de: async () => (await import("./de")).de,
  fr: async () => (await import("./fr")).fr,
};

export const language = signal<Language>("en");
let catalogue: Catalogue = en;
let rules = new Intl.PluralRules("en");

export function preferredLanguage(): Language {
  for (const wanted of navigator.languages) {
    const short = wanted.slice(0, 2).toLowerCase();
    if (short in LANGUAGES) return short as Language;
  }
  return "en";
}

export async function setLanguage(wanted: Language): Promise<void> {
  catalogue = await LOADERS[wanted]();
  rules = new Intl.PluralRules(wanted);
  formats.clear();
  language.value = wanted;
  document.documentElement.lang = wanted;
}

/** The text of a key; {name} is replaced by values.name, and {n} chooses the plural form. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  void language.value; // whoever shows a text shows it anew in another language
  const found: Text = catalogue[key] ?? en[key];
  const text =
    typeof found === "string" ? found : (found[rules.select(Number(values.n ?? 0))] ?? found.other ?? "");
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

const formats = new Map<string, Intl.DateTimeFormat>();

function format(name: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let found = formats.get(name);
  if (!found) {
    found = new Intl.DateTimeFormat(language.value === "en" ? navigatorEnglish() : language.value, options);
    formats.set(name, found);
  }
  return found;
}

/** The English of the browser, so that days and months stand as its owner reads them. */
function navigatorEnglish(): string {
  return navigator.languages.find((name) => name.startsWith("en")) ?? "en";
}

export function number(value: number): string {
  return new Intl.NumberFormat(language.value).format(value);
}

/** For a row: the time today, the day this year, else the date. */
export function shortDate(iso: string, now = new Date()): string {
  const date = new Date(iso);
  if (Number.isNaN(date.getTime())) return "";
  if (date.toDateString() === now.toDateString()) {
    return format("time", { hour: "2-digit", minute: "2-digit" }).format(date);
  }
  if (date.getFullYear() === now.getFullYear()) {
    return format("day", { day: "numeric", month: "short" }).format(date);
  }
  return format("date", { day: "2-digit", month: "2-digit", year: "numeric" }).format(date);
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

const UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"];

export function size(octets: number): string {
  let value = octets / 1000;
  let unit = 1; // small things are parts of a kilobyte
  while (value >= 1000 && unit < UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return new Intl.NumberFormat(language.value, {
    style: "unit", unit: UNITS[unit]!, unitDisplay: "short", maximumFractionDigits: value < 10 ? 1 : 0,
  }).format(value);
}
