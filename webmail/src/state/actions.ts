/** What is done to messages, each with its way back. */

import { effect } from "@preact/signals";
import { t } from "../i18n";
import type { EmailSummary, Id, Mailbox } from "../jmap/types";
import { actOnNotice, ask, mailAccount, notice, open, phone, route, say, sayError, type Notice } from "./app";
import { MessageList, cursor, list, refresh, rowsOf, selection, shownMailbox, type Row } from "./list";
import { byId, byRole, change, destroy, inverse, nameOfMailbox, summaries, type Patch } from "./mail";

/** What an action is for: the selection, else what is open, else the row under the cursor. */
export function targets(): Row[] {
  if (selection.value.size) return rowsOf(selection.value);
  const shown = list.value;
  if (!shown) return [];
  const position = route.value.open ? shown.positionOf(route.value.open) : cursor.value;
  const row = position >= 0 ? shown.at(position) : null;
  return row ? [row] : [];
}

/** The messages of rows that an action in this mailbox is for: of a conversation, those that lie here. */
function here(rows: Row[]): EmailSummary[] {
  const mailbox = shownMailbox.value?.id;
  return rows.flatMap((row) => {
    if (!mailbox) return row.emails;
    const found = row.emails.filter((email) => email.mailboxIds[mailbox]);
    return found.length ? found : [row.email];
  });
}

interface Step {
  back: Map<Id, Patch>;
  done: Promise<void>;
}

const MOST_STEPS = 50;
let steps: Step[] = []; // what can be undone, the last one last
let told: Notice | null = null; // the notice of the last one

async function act(emails: EmailSummary[], patch: (email: EmailSummary) => Patch, said: string): Promise<void> {
  const patches = new Map<Id, Patch>();
  const back = new Map<Id, Patch>();
  for (const email of emails) {
    const made = patch(email);
    if (!Object.keys(made).length) continue;
    patches.set(email.id, made);
    back.set(email.id, inverse(email, made));
  }
  if (!patches.size) return;
  const done = change(patches);
  const step = { back, done };
  steps = [...steps, step].slice(-MOST_STEPS);
  if (said) {
    say(said, { action: { label: t("undo"), run: () => void takeBack(step) } });
    told = notice.value;
  }
  try {
    await done;
  } catch {
    steps = steps.filter((one) => one !== step);
    if (notice.value === told) notice.value = null;
    await refresh();
  }
}

async function takeBack(step: Step): Promise<void> {
  steps = steps.filter((one) => one !== step);
  try {
    await step.done;
    await change(step.back);
    await refresh();
    say(t("undone"));
  } catch {
    // What failed has been said.
  }
}

/** The last thing done, then the one before it: first of all what is offered on the screen. */
export function undo(): void {
  if (notice.value?.action && notice.value !== told) {
    actOnNotice();
    return;
  }
  const step = steps.at(-1);
  if (!step) {
    say(t("nothing_to_undo"));
    return;
  }
  if (notice.value === told) notice.value = null;
  void takeBack(step);
}

effect(() => {
  void mailAccount.value; // what was done elsewhere is not undone from here
  steps = [];
});

// Keywords -----------------------------------------------------------------------------------------

export function markSeen(rows: Row[], seen: boolean, quiet = false): Promise<void> {
  const emails = (seen ? rows.flatMap((row) => row.emails) : here(rows)).filter(
    (email) => !!email.keywords.$seen !== seen && !email.keywords.$draft,
  );
  const said = quiet ? "" : t(seen ? "marked_read" : "marked_unread", { n: rows.length });
  return act(emails, () => ({ "keywords/$seen": seen ? true : null }), said);
}

export function toggleFlag(rows: Row[]): Promise<void> {
  const flagged = rows.every((row) => row.emails.some((email) => email.keywords.$flagged));
  const emails = flagged
    ? rows.flatMap((row) => row.emails.filter((email) => email.keywords.$flagged))
    : rows.map((row) => row.email);
  const said = rows.length > 1 ? t(flagged ? "unflagged" : "flagged", { n: rows.length }) : "";
  return act(emails, () => ({ "keywords/$flagged": flagged ? null : true }), said);
}

// Places -------------------------------------------------------------------------------------------

/** Takes rows out of the list and goes on with the next one. */
function leave(rows: Row[]): void {
  const shown = list.value;
  if (!shown) return;
  const opened = route.value.open;
  const at = opened ? shown.positionOf(opened) : -1;
  const gone = new Set(rows.map((row) => row.id));
  const openIsGone = at >= 0 && rows.some((row) => shown.opens(row) === opened);
  shown.remove(gone);
  selection.value = new Set([...selection.value].filter((id) => !gone.has(id)));
  const last = Math.max(0, (shown.total.value ?? 1) - 1);
  if (openIsGone) {
    const next = shown.at(Math.min(at, last));
    cursor.value = Math.min(at, last);
    open(next && !phone.value ? shown.opens(next) : "", true);
  } else {
    cursor.value = Math.min(cursor.value, last);
  }
}

export async function moveTo(rows: Row[], target: Mailbox, key: "moved" | "archived" | "trashed" | "junked" | "unjunked" = "moved"): Promise<void> {
  const from = shownMailbox.value?.id;
  if (!rows.length || target.id === from) return;
  const emails = here(rows).filter((email) => !email.mailboxIds[target.id] || Object.keys(email.mailboxIds).length > 1);
  const said = t(key, { n: rows.length, name: nameOfMailbox(target) });
  const gone = !!from;
  if (gone) leave(rows);
  await act(emails, (email) => {
    const patch: Patch = {};
    if (from && email.mailboxIds[from]) {
      patch[`mailboxIds/${from}`] = null;
      patch[`mailboxIds/${target.id}`] = true;
    } else {
      patch.mailboxIds = { [target.id]: true };
    }
    if (key === "junked") {
      patch["keywords/$junk"] = true;
      patch["keywords/$notjunk"] = null;
    }
    if (key === "unjunked") {
      patch["keywords/$junk"] = null;
      patch["keywords/$notjunk"] = true;
    }
    return patch;
  }, said);
  if (!gone) selection.value = new Set();
}

function needed(role: string): Mailbox | null {
  const found = byRole.value.get(role);
  if (!found) say(t("no_such_mailbox", { name: t(`role_${role}` as "role_archive") }), { error: true });
  return found ?? null;
}

export function archive(rows: Row[]): void {
  const target = needed("archive");
  if (target) void moveTo(rows, target, "archived").catch(() => undefined);
}

export function junk(rows: Row[]): void {
  const isJunk = shownMailbox.value?.role === "junk";
  const target = needed(isJunk ? "inbox" : "junk");
  if (target) void moveTo(rows, target, isJunk ? "unjunked" : "junked").catch(() => undefined);
}

/** To the trash; what lies there already is destroyed, after a question and not at once. */
export async function remove(rows: Row[]): Promise<void> {
  if (!rows.length) return;
  const place = shownMailbox.value;
  if (place?.role === "trash" || (place?.role === "drafts" && !byRole.value.has("trash"))) {
    await destroyForEver(rows);
    return;
  }
  const target = needed("trash");
  if (target) await moveTo(rows, target, "trashed").catch(() => undefined);
}

async function destroyForEver(rows: Row[]): Promise<void> {
  const yes = await ask({
    title: t("destroy_title"), text: t("destroy_text", { n: rows.length }), yes: t("destroy_yes"), danger: true,
  });
  if (yes === null) return;
  const ids = here(rows).map((email) => email.id);
  leave(rows);
  say(t("destroyed", { n: rows.length }), {
    action: { label: t("undo"), run: () => void refresh().then(() => say(t("undone"))) },
    otherwise: () => void destroy(ids).then(() => refresh()).catch((error) => sayError("error_change", error)),
  });
}

export async function emptyMailbox(mailbox: Mailbox): Promise<void> {
  const yes = await ask({
    title: t("empty_title", { name: nameOfMailbox(mailbox) }), text: t("empty_text", { n: mailbox.totalEmails }),
    yes: t("empty_yes"), danger: true,
  });
  if (yes === null) return;
  try {
    for (;;) {
      const ids = await new MessageList({ inMailbox: mailbox.id }, mailbox.id, false).allIds(400);
      if (!ids.length) break;
      await destroy(ids);
    }
    say(t("emptied", { name: nameOfMailbox(mailbox) }));
  } catch (error) {
    sayError("error_change", error);
  }
  await refresh();
}

// Selecting ----------------------------------------------------------------------------------------

export function select(id: Id, on?: boolean): void {
  const next = new Set(selection.value);
  if (on ?? !next.has(id)) next.add(id);
  else next.delete(id);
  selection.value = next;
}

export function selectRange(from: number, to: number): void {
  const shown = list.value;
  if (!shown) return;
  const next = new Set(selection.value);
  for (let position = Math.min(from, to); position <= Math.max(from, to); position += 1) {
    const row = shown.at(position);
    if (row) next.add(row.id);
  }
  selection.value = next;
}

export function mailboxNamesOf(email: EmailSummary): string[] {
  return Object.keys(email.mailboxIds).flatMap((id) => {
    const found = byId.value.get(id);
    return found ? [nameOfMailbox(found)] : [];
  });
}

export function emailOf(id: Id): EmailSummary | undefined {
  return summaries.get(id);
}
