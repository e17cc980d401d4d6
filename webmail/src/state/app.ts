/** What all views share: who is signed in, where we are, how it shall look, what is being said. */

import { computed, effect, signal } from "@preact/signals";
import { type Language, preferredLanguage, setLanguage, t } from "../i18n";
import type { Key } from "../i18n/en";
import { MAIL, type JmapClient } from "../jmap/client";
import { store, stored } from "../lib/dom";

export type Theme = "auto" | "light" | "dark";
export type Density = "comfortable" | "compact";

export interface Preferences {
  theme: Theme;
  language: Language;
  density: Density;
  conversations: boolean;
  plain: boolean; // write plain text rather than rich
  undoSeconds: number; // a sent message waits so long
  imagesFrom: string[]; // senders whose remote images are shown
  identity: string; // id of the identity to begin with
}

const FIRST: Preferences = {
  theme: "auto", language: preferredLanguage(), density: "comfortable", conversations: true, plain: false,
  undoSeconds: 10, imagesFrom: [], identity: "",
};

export const preferences = signal<Preferences>({ ...FIRST, ...stored<Partial<Preferences>>("preferences", {}) });

export function prefer(change: Partial<Preferences>): void {
  preferences.value = { ...preferences.value, ...change };
  store("preferences", preferences.value);
  if (change.language) void setLanguage(change.language);
}

const systemDark = matchMedia("(prefers-color-scheme: dark)");
const systemIsDark = signal(systemDark.matches);
systemDark.addEventListener("change", (event) => (systemIsDark.value = event.matches));
export const dark = computed(() =>
  preferences.value.theme === "auto" ? systemIsDark.value : preferences.value.theme === "dark",
);
effect(() => {
  document.documentElement.dataset.theme = dark.value ? "dark" : "light";
});

function width(query: string) {
  const media = matchMedia(query);
  const found = signal(media.matches);
  media.addEventListener("change", (event) => (found.value = event.matches));
  return found;
}
export const phone = width("(max-width: 719px)");
export const narrow = width("(max-width: 1099px)");
export const drawer = signal(false); // the mailboxes over the rest, where they have no place of their own

/** null: signing in. undefined: not known yet. */
export const client = signal<JmapClient | null | undefined>(undefined);
const connected = signal(navigator.onLine);
addEventListener("online", () => {
  connected.value = true;
  reachable.value = true; // worth asking again
});
addEventListener("offline", () => (connected.value = false));
/** Whether the server has answered the last time it was asked. */
export const reachable = signal(true);
/** A network, as far as the browser knows; the server may be away all the same. */
export const online = computed(() => connected.value);

export function jmap(): JmapClient {
  const found = client.value;
  if (!found) throw new Error("nobody is signed in");
  return found;
}

/** An account of somebody else whose mail is looked at; "" for one's own. */
export const otherAccount = signal("");
export const mailAccount = computed(() => otherAccount.value || (client.value?.accountFor(MAIL) ?? ""));

// Where we are -----------------------------------------------------------------------------------

export interface Route {
  view: "mail" | "settings";
  mailbox: string; // id, "" for the inbox
  search: string;
  open: string; // id of a thread, or of an email where conversations are off
  tab: string;
}

export const route = signal<Route>(parseRoute(location.hash));
addEventListener("hashchange", () => (route.value = parseRoute(location.hash)));

function parseRoute(hash: string): Route {
  const parts = hash.replace(/^#\/?/, "").split("/").map(safeDecode);
  const none: Route = { view: "mail", mailbox: "", search: "", open: "", tab: "" };
  if (parts[0] === "settings") return { ...none, view: "settings", tab: parts[1] ?? "" };
  if (parts[0] === "search") return { ...none, search: parts[1] ?? "", open: parts[2] ?? "" };
  if (parts[0] === "compose") return none;
  return { ...none, mailbox: parts[0] ?? "", open: parts[1] ?? "" };
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function hashOf(to: Partial<Route>): string {
  if (to.view === "settings") return `#/settings/${to.tab ?? ""}`;
  const start = to.search ? `#/search/${encodeURIComponent(to.search)}` : `#/${encodeURIComponent(to.mailbox ?? "")}`;
  return to.open ? `${start}/${encodeURIComponent(to.open)}` : start;
}

export function go(to: Partial<Route>, replace = false): void {
  const hash = hashOf(to);
  if (hash === location.hash) return;
  if (replace) history.replaceState(null, "", hash);
  else history.pushState(null, "", hash);
  route.value = parseRoute(hash);
}

/** Opens something in the list that is shown; "" closes it. */
export function open(id: string, replace = false): void {
  go({ mailbox: route.value.mailbox, search: route.value.search, open: id }, replace);
}
addEventListener("popstate", () => (route.value = parseRoute(location.hash)));

// What is being said -----------------------------------------------------------------------------

export interface Notice {
  text: string;
  action?: { label: string; run: () => void };
  /** Run when the notice goes without its action having been chosen. */
  otherwise?: () => void;
  error?: boolean;
  ms: number;
}

export const notice = signal<Notice | null>(null);
let timer = 0;

/** One at a time: what stood there before is over. */
export function say(text: string, more: Partial<Notice> = {}): void {
  settleNotice();
  const made: Notice = { text, ms: more.action ? 8000 : 4000, ...more };
  notice.value = made;
  timer = window.setTimeout(() => {
    if (notice.value === made) settleNotice();
  }, made.ms);
}

export function settleNotice(): void {
  clearTimeout(timer);
  const before = notice.value;
  notice.value = null;
  before?.otherwise?.();
}

export function actOnNotice(): void {
  clearTimeout(timer);
  const before = notice.value;
  notice.value = null;
  before?.action?.run();
}
addEventListener("pagehide", () => settleNotice());

export function sayError(key: Key, error: unknown): void {
  const detail = error instanceof Error && error.message ? ` ${error.message}` : "";
  say(t(key) + detail, { error: true, ms: 8000 });
}

// Questions that must be answered before something that cannot be undone ---------------------------

export interface Question {
  title: string;
  text: string;
  yes: string;
  danger?: boolean;
  input?: { label: string; value: string };
  answered: (value: string | null) => void;
}

export const question = signal<Question | null>(null);

/** What was typed ("" without a field) or null. */
export function ask(wanted: Omit<Question, "answered">): Promise<string | null> {
  return new Promise((resolve) => {
    question.value = {
      ...wanted,
      answered: (value) => {
        question.value = null;
        resolve(value);
      },
    };
  });
}

export const help = signal(false);
