/** Keys of the whole page, where nothing is being typed. */

import type { Email } from "../jmap/types";
import { typing } from "../lib/dom";
import { go, help, open, question, route } from "./app";
import { archive, junk, markSeen, remove, select, selectRange, targets, toggleFlag, undo } from "./actions";
import { compose, forward, reply } from "./answering";
import { composer } from "./compose";
import { cursor, list, selection } from "./list";
import { byRole, knownBody } from "./mail";
import { focusSearch } from "../views/SearchBar";
import { goToMailbox } from "../views/MailboxPicker";
import { moveSelected, openRow, selectLoaded } from "../views/List";

const LONGEST_AHEAD_MS = 5_000;

let prefix = "";
let timer = 0;
/** What is typed for a message whose fields are not there yet; null: none is on its way. */
let ahead: string | null = null;
let expires = 0;

/** A message is about to be written: letters are for it from now on, and no commands. */
function expectTyping(): void {
  ahead ??= "";
  clearTimeout(expires);
  expires = window.setTimeout(() => (ahead = null), LONGEST_AHEAD_MS);
}

/** A field has the focus: what was typed before goes into it. */
export function onFocus(event: FocusEvent): void {
  if (ahead === null || !typing(event.target) || !(event.target as HTMLElement).closest(".composer")) return;
  const text = ahead;
  ahead = null;
  // The editor sets its cursor once it has the focus. No key comes between.
  if (text) queueMicrotask(() => document.execCommand("insertText", false, text));
}

function takeAhead(event: KeyboardEvent): boolean {
  if (ahead === null) return false;
  if (event.key.length === 1) ahead += event.key;
  else if (event.key === "Backspace") ahead = ahead.slice(0, -1);
  else return false;
  return true;
}

composer.subscribe((one) => {
  if (one) expectTyping();
  else ahead = null;
});

export function onKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
  if (typing(event.target) || question.value || help.value || document.querySelector("dialog[open]")) return;
  if (takeAhead(event)) {
    event.preventDefault();
    return;
  }
  if (composer.value && (event.target as HTMLElement)?.closest?.(".composer")) return;
  const key = prefix + event.key;
  clearTimeout(timer);
  prefix = "";
  if (handle(key, event)) event.preventDefault();
}

function step(by: number, event: KeyboardEvent): boolean {
  const shown = list.value;
  if (!shown) return false;
  const total = shown.total.value ?? 0;
  const from = cursor.value;
  const to = Math.min(Math.max(0, from + by), Math.max(0, total - 1));
  cursor.value = to;
  const row = shown.at(to);
  if (event.shiftKey && event.key.startsWith("Arrow")) {
    selectRange(from, to);
    return true;
  }
  if (route.value.open && row && !row.email.keywords.$draft) open(shown.opens(row), true);
  return true;
}

function answering(run: (last: Email) => Promise<void>): boolean {
  const row = targets()[0];
  const last = row?.emails.filter((email) => !email.keywords.$draft).at(-1);
  const body = last && knownBody(last.id);
  if (!route.value.open || !body) return false;
  expectTyping();
  void run(body);
  return true;
}

function write(): boolean {
  expectTyping();
  void compose({});
  return true;
}

function to(role: string): boolean {
  const mailbox = byRole.value.get(role);
  if (mailbox) go({ mailbox: role === "inbox" ? "" : mailbox.id });
  return true;
}

function handle(key: string, event: KeyboardEvent): boolean {
  if (route.value.view !== "mail") {
    if (key === "?") help.value = true;
    else if (key === "u" || key === "Escape") go({ mailbox: "" });
    else if (key === "c") return write();
    else if (key === "g") return wait("g");
    else if (key === "gi") to("inbox");
    else return false;
    return true;
  }
  const grid = (event.target as HTMLElement)?.closest?.(".rows, body") !== null;
  switch (key) {
    case "j":
      return step(1, event);
    case "k":
      return step(-1, event);
    case "ArrowDown":
      return grid && !inReader(event) && step(1, event);
    case "ArrowUp":
      return grid && !inReader(event) && step(-1, event);
    case "Home":
      return !inReader(event) && step(-Infinity, event);
    case "End":
      return !inReader(event) && step(Infinity, event);
    case "Enter":
    case "o": {
      if (key === "Enter" && (event.target as HTMLElement)?.closest?.("button, a, summary")) return false;
      const shown = list.value;
      const row = shown?.at(cursor.value);
      if (shown && row) openRow(shown, row);
      return !!row;
    }
    case "u":
    case "Escape":
      if (selection.value.size) selection.value = new Set();
      else if (route.value.open) open("");
      else if (route.value.search) go({ mailbox: "" });
      else return false;
      return true;
    case "e":
    case "y":
      archive(targets());
      return true;
    case "#":
    case "Delete":
      void remove(targets());
      return true;
    case "!":
      junk(targets());
      return true;
    case "s":
      void toggleFlag(targets()).catch(() => undefined);
      return true;
    case "v":
      if (targets().length) void moveSelected(targets());
      return true;
    case "I":
      void markSeen(targets(), true).catch(() => undefined);
      return true;
    case "U": {
      const rows = targets();
      void markSeen(rows, false).catch(() => undefined);
      if (route.value.open) open("");
      return true;
    }
    case "z":
      undo();
      return true;
    case "x": {
      const row = list.value?.at(cursor.value);
      if (row) select(row.id);
      return true;
    }
    case "c":
      return write();
    case "r":
      return answering((last) => reply(last, false));
    case "a":
      return answering((last) => reply(last, true));
    case "f":
      return answering((last) => forward(last));
    case "/":
      focusSearch();
      return true;
    case "?":
      help.value = true;
      return true;
    case "g":
    case "*":
      return wait(key);
    case "gi":
      return to("inbox");
    case "gs":
      return to("sent");
    case "gd":
      return to("drafts");
    case "gf":
      void goToMailbox();
      return true;
    case "ga":
      return to("archive");
    case "*a":
      selectLoaded();
      return true;
    case "*n":
      selection.value = new Set();
      return true;
    default:
      return false;
  }
}

function inReader(event: KeyboardEvent): boolean {
  return (event.target as HTMLElement)?.closest?.(".reader, .sidebar") !== null && event.target !== document.body;
}

function wait(key: string): boolean {
  prefix = key;
  timer = window.setTimeout(() => (prefix = ""), 1200);
  return true;
}
