/**
 * How a row of the list says when: written by hand, because the first format that Intl makes takes longer than
 * drawing all rows. Everything else asks Intl.
 */

import type { Language } from "./index";

interface Way {
  months: string;
  day: "dm" | "md"; // day and month, in this order
  dot: string; // after the number of a day
  date: "dmy" | "mdy" | "ymd";
  between: string; // the parts of a date
}

const WAYS: Record<Language, Way> = {
  en: { months: "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec", day: "dm", dot: "", date: "dmy", between: "/" },
  de: { months: "Jan. Feb. März Apr. Mai Juni Juli Aug. Sept. Okt. Nov. Dez.", day: "dm", dot: ".", date: "dmy", between: "." },
  fr: { months: "janv. févr. mars avr. mai juin juil. août sept. oct. nov. déc.", day: "dm", dot: "", date: "dmy", between: "/" },
};
const AMERICAN: Way = { ...WAYS.en, months: WAYS.en.months.replace("Sept", "Sep"), day: "md", date: "mdy" };
const CANADIAN: Way = { ...WAYS.en, day: "md", date: "ymd", between: "-" };
const MONTH_FIRST = new Set(["en", "en-us", "en-ph"]);
const TWELVE_HOURS = new Set([...MONTH_FIRST, "en-ca", "en-au", "en-nz", "en-in"]);

const two = (value: number) => String(value).padStart(2, "0");

/** tag: the English of the browser, such as "en-US"; other languages are written in one way everywhere. */
function wayOf(language: Language, tag: string): Way {
  if (language !== "en") return WAYS[language];
  return MONTH_FIRST.has(tag) ? AMERICAN : tag === "en-ca" ? CANADIAN : WAYS.en;
}

function time(date: Date, twelve: boolean): string {
  const hours = date.getHours();
  if (!twelve) return `${two(hours)}:${two(date.getMinutes())}`;
  return `${hours % 12 || 12}:${two(date.getMinutes())}\u202f${hours < 12 ? "AM" : "PM"}`;
}

/** The time today, the day this year, else the date. */
export function shortMoment(date: Date, now: Date, language: Language, english: string): string {
  const tag = english.toLowerCase();
  const way = wayOf(language, tag);
  const [day, month, year] = [date.getDate(), date.getMonth(), date.getFullYear()];
  if (year !== now.getFullYear()) {
    const parts = { d: two(day), m: two(month + 1), y: String(year) };
    return [...way.date].map((part) => parts[part as "d" | "m" | "y"]).join(way.between);
  }
  if (month === now.getMonth() && day === now.getDate()) return time(date, language === "en" && TWELVE_HOURS.has(tag));
  const name = way.months.split(" ")[month]!;
  return way.day === "md" ? `${name} ${day}` : `${day}${way.dot} ${name}`;
}
