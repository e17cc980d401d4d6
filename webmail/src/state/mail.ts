/** Mailboxes, messages and threads that are known here, and keeping them as the server has them. */

import { batch, computed, signal } from "@preact/signals";
import { t } from "../i18n";
import { type Call, type JmapClient, MAIL, MethodError, Refused, SignedOut, Unreachable } from "../jmap/client";
import { inboxOf, mailboxCalls, sorted, stateCalls, SUMMARY } from "../jmap/first";
import type {
  ChangesResult, Email, EmailSummary, GetResult, Id, Mailbox, SetResult, Thread,
} from "../jmap/types";
import { client, jmap, mailAccount, online, sayError } from "./app";
import { applied, overlay, queueChange, tellChanges, unescape, waitingChanges, type Patch } from "./changes";

export type { Patch } from "./changes";

export const mailboxes = signal<Mailbox[]>([]);
/** Grows when a message that is known has changed: rows show what they know anew. */
export const tick = signal(0);

/** Messages that the server has just said are destroyed, or are not as they were. */
export const gone = signal<ReadonlySet<Id>>(new Set());

export { SUMMARY } from "../jmap/first";
const CHANGING = ["id", "mailboxIds", "keywords"];
const READING = [
  ...SUMMARY, "blobId", "messageId", "inReplyTo", "references", "sender", "cc", "bcc", "replyTo", "sentAt",
  "textBody", "htmlBody", "attachments", "bodyValues", "header:List-Unsubscribe:asURLs", "header:List-Id:asText", "header:List-Post:asURLs",
  "header:Content-Type:asRaw", "header:Disposition-Notification-To:asAddresses",
];
const PARTS = ["partId", "blobId", "size", "name", "type", "charset", "disposition", "cid"];
const MAX_BODY = 1_000_000; // octets of a text that is shown; the rest by downloading

export const summaries = new Map<Id, EmailSummary>();
export const threads = new Map<Id, Id[]>();
const bodies = new Map<Id, Email>();
const MOST_BODIES = 300;
let emailState = "";
let threadState = "";

export const byRole = computed(() => {
  const found = new Map<string, Mailbox>();
  for (const mailbox of mailboxes.value) if (mailbox.role && !found.has(mailbox.role)) found.set(mailbox.role, mailbox);
  return found;
});
export const byId = computed(() => new Map(mailboxes.value.map((mailbox) => [mailbox.id, mailbox])));
export const inbox = computed(() => inboxOf(mailboxes.value));

/** "Projects/Alpha", the names of those above before its own. */
export function pathOf(mailbox: Mailbox): string {
  const parent = mailbox.parentId ? byId.value.get(mailbox.parentId) : undefined;
  return parent ? `${pathOf(parent)}/${nameOfMailbox(mailbox)}` : nameOfMailbox(mailbox);
}

const NAMED = { inbox: "role_inbox", drafts: "role_drafts", sent: "role_sent", junk: "role_junk", trash: "role_trash", archive: "role_archive" } as const;

/** Those with a role have the name of the reader's language, unless somebody gave them another. */
export function nameOfMailbox(mailbox: Mailbox): string {
  const key = NAMED[mailbox.role as keyof typeof NAMED];
  return key && USUAL.has(mailbox.name.toLowerCase()) ? t(key) : mailbox.name;
}
const USUAL = new Set([
  "inbox", "drafts", "sent", "sent items", "sent messages", "junk", "spam", "trash", "deleted items", "archive",
]);

export function merge(list: Partial<EmailSummary>[]): void {
  for (const email of list) {
    const known = summaries.get(email.id!);
    if (known) Object.assign(known, email);
    else if (email.threadId && email.receivedAt) summaries.set(email.id!, email as EmailSummary);
    const body = bodies.get(email.id!);
    if (body && body !== email) Object.assign(body, email);
    if (!waitingChanges.value.length) continue;
    const now = summaries.get(email.id!);
    if (now && overlay(now) && body) Object.assign(body, { keywords: now.keywords, mailboxIds: now.mailboxIds });
  }
}

/** of: whose they are; without it, of the account that is looked at. */
export async function loadMailboxes(of?: JmapClient): Promise<void> {
  const answers = await (of ?? jmap()).request(mailboxCalls(of?.accountFor(MAIL) ?? mailAccount.value));
  mailboxes.value = sorted(answers.get<GetResult<Mailbox>>("0").list);
}

// Reading ------------------------------------------------------------------------------------------

export function knownBody(id: Id): Email | undefined {
  return bodies.get(id);
}

function keep(email: Email): void {
  bodies.delete(email.id);
  bodies.set(email.id, email);
  summaries.set(email.id, Object.assign(summaries.get(email.id) ?? ({} as EmailSummary), summaryOf(email)));
  for (const oldest of bodies.keys()) {
    if (bodies.size <= MOST_BODIES) break;
    bodies.delete(oldest);
  }
}

function summaryOf(email: Email): EmailSummary {
  const found: Record<string, unknown> = {};
  for (const name of SUMMARY) found[name] = email[name as keyof Email];
  return found as unknown as EmailSummary;
}

function bodyCall(ids: Record<string, unknown>, id: string, most = MAX_BODY): Call {
  return ["Email/get", {
    accountId: mailAccount.value, ...ids, properties: READING, bodyProperties: PARTS,
    fetchTextBodyValues: true, fetchHTMLBodyValues: true, maxBodyValueBytes: most,
  }, id];
}

/** All messages of a thread, oldest first, with their texts: one request. */
export async function loadThread(id: Id): Promise<Email[]> {
  const known = threads.get(id)?.map((one) => bodies.get(one));
  if (known?.length && known.every(Boolean)) return known as Email[];
  const answers = await jmap().request([
    ["Thread/get", { accountId: mailAccount.value, ids: [id] }, "t"],
    bodyCall({ "#ids": { resultOf: "t", name: "Thread/get", path: "/list/*/emailIds" } }, "e"),
  ]);
  for (const thread of answers.get<GetResult<Thread>>("t").list) threads.set(thread.id, thread.emailIds);
  const found = answers.get<GetResult<Email>>("e").list;
  found.forEach(keep);
  return found.sort((a, b) => a.receivedAt.localeCompare(b.receivedAt));
}

export async function loadEmails(ids: Id[]): Promise<Email[]> {
  const missing = ids.filter((id) => !bodies.has(id));
  if (missing.length) {
    const answers = await jmap().request([bodyCall({ ids: missing }, "e")]);
    answers.get<GetResult<Email>>("e").list.forEach(keep);
  }
  return ids.map((id) => bodies.get(id)).filter((email): email is Email => !!email);
}

/** With all of its text, however long: what is not loaded would be lost when it is saved. Throws if it is gone. */
export async function loadDraft(id: Id): Promise<Email> {
  const [found] = (await jmap().request([bodyCall({ ids: [id] }, "e", 0)])).get<GetResult<Email>>("e").list;
  if (!found) throw new Error(t("draft_gone"));
  return found;
}

export function forgetBody(id: Id): void {
  bodies.delete(id);
}

// Changing -----------------------------------------------------------------------------------------

/** The patch that takes back another, for a message as it is now. */
export function inverse(email: EmailSummary, patch: Patch): Patch {
  const result: Patch = {};
  for (const [path, value] of Object.entries(patch)) {
    const [field, key] = path.split("/") as ["keywords" | "mailboxIds", string | undefined];
    if (key === undefined) result[path] = { ...email[field] };
    else result[path] = email[field][unescape(key)] ? true : null;
    void value;
  }
  return result;
}

/** Says at once in the counts what the change will make of them; the server's own follow. */
function count(before: EmailSummary, after: EmailSummary): void {
  const unread = (email: EmailSummary) => !email.keywords.$seen && !email.keywords.$draft;
  mailboxes.value = mailboxes.value.map((mailbox) => {
    const was = !!before.mailboxIds[mailbox.id];
    const is = !!after.mailboxIds[mailbox.id];
    const total = Number(is) - Number(was);
    const unseen = Number(is && unread(after)) - Number(was && unread(before));
    if (!total && !unseen) return mailbox;
    return {
      ...mailbox,
      totalEmails: Math.max(0, mailbox.totalEmails + total),
      unreadEmails: Math.max(0, mailbox.unreadEmails + unseen),
    };
  });
}

function patchLocally(patches: Map<Id, Patch>): void {
  batch(() => {
    for (const [id, patch] of patches) {
      const email = summaries.get(id);
      if (!email) continue;
      const before = { ...email };
      applied(email, patch);
      count(before, email);
      const body = bodies.get(id);
      if (body) Object.assign(body, { keywords: email.keywords, mailboxIds: email.mailboxIds });
    }
    tick.value += 1;
  });
}

const TOGETHER = 400; // objects of one Email/set, below every server's limit

/** Shown at once, then told to the server; taken back if that refuses. */
export async function change(patches: Map<Id, Patch>): Promise<void> {
  const back = new Map<Id, Patch>();
  for (const [id, patch] of patches) {
    const email = summaries.get(id);
    if (email) back.set(id, inverse(email, patch));
  }
  patchLocally(patches);
  const before = client.value?.session.username ?? "";
  const account = mailAccount.value;
  const list = [...patches];
  const most = Math.min(TOGETHER, jmap().limit("maxObjectsInSet", TOGETHER));
  try {
    for (let start = 0; start < list.length; start += most) {
      const some = list.slice(start, start + most);
      const result = await jmap().call<SetResult<Email>>("Email/set", {
        accountId: mailAccount.value, update: Object.fromEntries(some),
      });
      const refused = Object.entries(result.notUpdated ?? {}).filter(([, why]) => why.type !== "notFound");
      if (refused.length) {
        patchLocally(new Map(refused.flatMap(([id]) => (back.has(id) ? [[id, back.get(id)!] as const] : []))));
        throw new Error(refused[0]![1].description ?? refused[0]![1].type);
      }
    }
  } catch (error) {
    if (error instanceof Unreachable || error instanceof SignedOut) {
      // Without a network it waits for one, and stays as it is shown.
      queueChange({ login: client.value?.session.username ?? before, account: mailAccount.value || account, patches: list });
      return;
    }
    sayError("error_change", error);
    throw error;
  }
}

const TELL_AGAIN_MS = 5_000;
let tellAgain = 0;

/** The network is back: tells the server what was done meanwhile. */
export async function tellAll(): Promise<void> {
  const login = client.value?.session.username;
  if (!login || !waitingChanges.value.some((one) => one.login === login)) return;
  try {
    await tellChanges(login, async ({ account, patches }) => {
      try {
        const result = await jmap().call<SetResult<Email>>("Email/set", { accountId: account, update: Object.fromEntries(patches) });
        const refused = Object.values(result.notUpdated ?? {}).find((why) => why.type !== "notFound");
        if (refused) sayError("error_change", new Error(refused.description ?? refused.type));
      } catch (error) {
        if (passing(error)) throw error;
        sayError("error_change", error); // what the server will never do keeps nothing waiting
      }
    });
  } catch (error) {
    // Without a network or a session something else will begin anew.
    if (!online.value || error instanceof SignedOut) return;
    clearTimeout(tellAgain);
    tellAgain = window.setTimeout(() => void tellAll(), TELL_AGAIN_MS);
  }
}

/** Whether it is worth trying again: whatever is not the server's last word. */
function passing(error: unknown): boolean {
  if (error instanceof Refused) return error.status === 429 || error.status >= 500 || error.type.endsWith(":limit"); // RFC 8620 section 3.6.1
  return !(error instanceof MethodError) || error.type === "serverUnavailable";
}

export async function destroy(ids: Id[]): Promise<void> {
  for (let start = 0; start < ids.length; start += TOGETHER) {
    await jmap().call("Email/set", { accountId: mailAccount.value, destroy: ids.slice(start, start + TOGETHER) });
  }
}

// Staying up to date -------------------------------------------------------------------------------

/** The calls that bring what is known here up to date, to be sent with those of the list. */
export function refreshCalls(): Call[] {
  const accountId = mailAccount.value;
  if (!emailState) return stateCalls(accountId);
  return [
    ["Mailbox/get", { accountId, ids: null }, "mailboxes"],
    ["Email/changes", { accountId, sinceState: emailState, maxChanges: 400 }, "changes"],
    ["Email/get", {
      accountId, "#ids": { resultOf: "changes", name: "Email/changes", path: "/updated" }, properties: CHANGING,
    }, "changed"],
    ["Thread/changes", { accountId, sinceState: threadState, maxChanges: 400 }, "threads"],
  ];
}

/** Of messages and threads as they are known here; "" before the first list. Another one: something has changed. */
export function knownState(): string {
  return emailState && `${emailState} ${threadState}`;
}

/** Takes their answers. True: there is more to ask for. */
export function refreshed(answers: { maybe<T>(id: string): T | null; old?: boolean }): boolean {
  let more = false;
  if (answers.old && mailboxes.value.length) return false; // what is known here is newer
  batch(() => {
    const found = answers.maybe<GetResult<Mailbox>>("mailboxes");
    if (found) mailboxes.value = sorted(found.list);
    const state = answers.maybe<GetResult<Email>>("state");
    if (state) emailState = state.state;
    threadState = answers.maybe<GetResult<Thread>>("threadState")?.state ?? threadState;
    const changes = answers.maybe<ChangesResult>("changes");
    if (changes) {
      emailState = changes.newState;
      more = changes.hasMoreChanges;
      merge(answers.maybe<GetResult<EmailSummary>>("changed")?.list ?? []);
      const ids = [...changes.destroyed, ...changes.updated];
      if (ids.length) gone.value = new Set(ids);
      for (const id of changes.destroyed) {
        const thread = summaries.get(id)?.threadId;
        if (thread) threads.delete(thread);
        summaries.delete(id);
        bodies.delete(id);
      }
    } else if (emailState && !state) {
      // The server no longer knows what has changed since: all of it is asked for anew.
      emailState = "";
      summaries.clear();
      threads.clear();
      bodies.clear();
      more = true;
    }
    const moved = answers.maybe<ChangesResult>("threads");
    if (moved) threadState = moved.newState;
    for (const id of [...(moved?.updated ?? []), ...(moved?.destroyed ?? [])]) threads.delete(id);
    tick.value += 1;
  });
  return more;
}

export function forgetAll(): void {
  summaries.clear();
  threads.clear();
  bodies.clear();
  emailState = threadState = "";
  mailboxes.value = [];
}

client.subscribe((now) => {
  if (now === null) forgetAll();
});
