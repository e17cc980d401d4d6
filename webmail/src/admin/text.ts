/** The texts of administration, as `t` has those of mail. */

import { language, locale, number, once, plural, shortDate, type Language, type Text } from "../i18n";
import { en, type AdminCatalogue, type AdminKey } from "./texts.en";

const LOADERS: Record<Language, () => Promise<AdminCatalogue>> = {
  en: async () => en,
  de: async () => (await import("./texts.de")).de,
  fr: async () => (await import("./texts.fr")).fr,
};

let catalogue: AdminCatalogue = en;

export async function loadTexts(wanted: Language): Promise<void> {
  catalogue = await LOADERS[wanted]();
}

/** {name} is replaced by values.name, and {n} chooses the plural form. */
export function a(key: AdminKey, values: Record<string, string | number> = {}): string {
  void language.value;
  const found: Text = catalogue[key] ?? en[key];
  const text = typeof found === "string" ? found : (found[plural(Number(values.n ?? 0))] ?? found.other ?? "");
  return text.replace(/\{(\w+)\}/g, (_, name: string) => {
    const value = values[name];
    return typeof value === "number" ? number(value) : (value ?? "");
  });
}

export function yesNo(value: boolean): string {
  return a(value ? "yes" : "no");
}

/** A text whose key is made from what the server says; otherwise that itself. */
export function named(prefix: string, value: string): string {
  const key = `${prefix}_${value.replace(/[-.\s]/g, "_")}`;
  return key in en ? a(key as AdminKey) : value;
}

/** How long ago or how long until, in one unit. */
export function ago(ms: number, now = Date.now()): string {
  const seconds = Math.round((ms - now) / 1000);
  const format = once("ago", () => new Intl.RelativeTimeFormat(locale(), { numeric: "auto", style: "short" }));
  const steps: [Intl.RelativeTimeFormatUnit, number][] = [["day", 86_400], ["hour", 3_600], ["minute", 60]];
  for (const [unit, length] of steps) {
    if (Math.abs(seconds) >= length) return format.format(Math.round(seconds / length), unit);
  }
  return format.format(seconds, "second");
}

export function moment(ms: number): string {
  const date = new Date(ms);
  if (date.toDateString() === new Date().toDateString()) return shortDate(date.toISOString());
  return once("moment", () => new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" })).format(date);
}
