/** Searching without a network: among the messages that the service worker has kept of what was looked at. */

import type { Email, EmailSummary, Filter, FilterCondition, Id } from "../jmap/types";
import { htmlToText } from "../lib/text";

const CACHE = "mail-1"; // of the service worker
const MOST_FOUND = 500;

interface Kept {
  methodResponses: [string, { accountId?: Id; list?: (Partial<Email> & { emailIds?: Id[] })[] }, string][];
}

export interface Found {
  ids: Id[];
  emails: EmailSummary[];
  threads: Map<Id, Id[]>;
}

async function seen(account: Id): Promise<{ emails: Map<Id, Email>; threads: Map<Id, Id[]> }> {
  const emails = new Map<Id, Email>();
  const threads = new Map<Id, Id[]>();
  if (!globalThis.caches || !(await caches.has(CACHE))) return { emails, threads };
  const cache = await caches.open(CACHE);
  for (const request of await cache.keys()) {
    if (!new URL(request.url).pathname.endsWith("/jmap/api")) continue;
    const answer = (await (await cache.match(request))?.json().catch(() => null)) as Kept | null;
    for (const [method, { accountId, list }] of answer?.methodResponses ?? []) {
      if (accountId !== account || !list) continue;
      for (const one of list) {
        if (method === "Thread/get" && one.emailIds) threads.set(one.id!, one.emailIds);
        if (method === "Email/get" && one.id) emails.set(one.id, Object.assign(emails.get(one.id) ?? ({} as Email), one));
      }
    }
  }
  return { emails, threads };
}

/** The newest first, as the server would find them; of a conversation the newest that fits. */
export async function search(account: Id, filter: Filter, collapsed: boolean): Promise<Found> {
  const { emails, threads } = await seen(account);
  const fits = [...emails.values()]
    .filter((email) => email.threadId && email.receivedAt && email.mailboxIds && matches(email, filter))
    .sort((a, b) => b.receivedAt.localeCompare(a.receivedAt));
  const known = new Set<Id>();
  const rows = fits.filter((email) => !collapsed || (!known.has(email.threadId) && known.add(email.threadId))).slice(0, MOST_FOUND);
  return { ids: rows.map((email) => email.id), emails: [...emails.values()], threads };
}

export function matches(email: Email, filter: Filter): boolean {
  if ("operator" in filter) {
    const each = (one: Filter) => matches(email, one);
    if (filter.operator === "AND") return filter.conditions.every(each);
    return filter.operator === "OR" ? filter.conditions.some(each) : !filter.conditions.some(each);
  }
  return Object.entries(filter).every(([name, value]) => holds(email, name as keyof FilterCondition, value));
}

function holds(email: Email, name: string, value: unknown): boolean {
  const people = (...lists: (Email["from"] | undefined)[]) => lists.flatMap((list) => (list ?? []).map((one) => `${one.name ?? ""} ${one.email}`)).join(" ");
  const body = () => Object.values(email.bodyValues ?? {}).map((part) =>
    /<[a-z!]/i.test(part.value) ? htmlToText(new DOMParser().parseFromString(part.value, "text/html").body) : part.value).join(" ");
  const has = (text: string) => folded(String(value)).split(/\s+/).filter(Boolean).every((word) => folded(text).includes(word));
  switch (name) {
    case "text": return has([people(email.from, email.to, email.cc, email.bcc), email.subject, email.preview, body()].join(" "));
    case "from": return has(people(email.from));
    case "to": return has(people(email.to));
    case "cc": return has(people(email.cc));
    case "subject": return has(email.subject ?? "");
    case "body": return has(`${email.preview ?? ""} ${body()}`);
    case "hasAttachment": return !!email.hasAttachment === value;
    case "hasKeyword": return !!email.keywords[String(value)];
    case "notKeyword": return !email.keywords[String(value)];
    case "inMailbox": return !!email.mailboxIds[String(value)];
    case "inMailboxOtherThan": return Object.keys(email.mailboxIds).some((id) => !(value as Id[]).includes(id));
    case "before": return Date.parse(email.receivedAt) < Date.parse(String(value));
    case "after": return Date.parse(email.receivedAt) >= Date.parse(String(value));
    case "minSize": return email.size >= Number(value);
    case "maxSize": return email.size < Number(value);
    default: return true;
  }
}

function folded(text: string): string {
  return text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}
