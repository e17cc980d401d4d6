/** What the first view asks for: said here once for the client and for `boot.ts`, which asks before it is there. */

import type { Filter, Id, Mailbox, Session } from "./types";

export const CORE = "urn:ietf:params:jmap:core";
export const MAIL = "urn:ietf:params:jmap:mail";
export const SUBMISSION = "urn:ietf:params:jmap:submission";
export const VACATION = "urn:ietf:params:jmap:vacationresponse";
export const PRINCIPALS = "urn:ietf:params:jmap:principals";
export const TRACE = "urn:x-postillon:jmap:trace";
export const RULES = "urn:x-postillon:jmap:rules";
export const QUOTA = "urn:ietf:params:jmap:quota";

export const OWN_SESSION = "/.well-known/jmap";
export const PAGE = 50; // rows that are asked for together
export const SUMMARY = [
  "id", "threadId", "mailboxIds", "keywords", "from", "to", "subject", "receivedAt", "size", "hasAttachment", "preview",
];

export type Call = [method: string, args: Record<string, unknown>, id: string];

/** The octets of a request. `using` is told from the names of the methods. */
export function bodyOf(session: Session, calls: Call[]): string {
  const using = new Set([CORE, MAIL]);
  for (const [method] of calls) {
    if (/^(Identity|EmailSubmission)\//.test(method)) using.add(SUBMISSION);
    if (method.startsWith("VacationResponse/")) using.add(VACATION);
    if (method.startsWith("Principal/")) using.add(PRINCIPALS);
    if (method.startsWith("Quota/")) using.add(QUOTA);
    if (method.startsWith("MessageTrace/")) using.add(TRACE);
    if (method.startsWith("Rule/")) using.add(RULES);
  }
  return JSON.stringify({ using: [...using].filter((one) => one in session.capabilities), methodCalls: calls });
}

/** Our own server is asked where the page came from, whatever a proxy between makes of its name. */
export function asOurs(session: Session): Session {
  for (const name of ["apiUrl", "downloadUrl", "uploadUrl", "eventSourceUrl"] as const) {
    session[name] = session[name].replace(/^https?:\/\/[^/]+/, "");
  }
  return session;
}

export function mailboxCalls(accountId: Id): Call[] {
  return [["Mailbox/get", { accountId, ids: null }, "0"]];
}

export interface Asked {
  accountId: Id;
  filter: Filter;
  collapsed: boolean; // a row for each conversation
  window: Record<string, unknown>; // position, or anchor and anchorOffset
  limit: number;
}

/** Ids and everything that their rows show. With conversations "rows" are the messages of all of them. */
export function listCalls({ accountId, filter, collapsed, window, limit }: Asked): Call[] {
  const calls: Call[] = [
    ["Email/query", {
      accountId, filter, sort: [{ property: "receivedAt", isAscending: false }], collapseThreads: collapsed,
      calculateTotal: true, limit, ...window,
    }, "query"],
    ["Email/get", {
      accountId, "#ids": { resultOf: "query", name: "Email/query", path: "/ids" }, properties: SUMMARY,
    }, "rows"],
  ];
  if (collapsed) {
    calls.push(
      ["Thread/get", { accountId, "#ids": { resultOf: "rows", name: "Email/get", path: "/list/*/threadId" } }, "conversations"],
      ["Email/get", {
        accountId, "#ids": { resultOf: "conversations", name: "Thread/get", path: "/list/*/emailIds" }, properties: SUMMARY,
      }, "members"],
    );
  }
  return calls;
}

/** With the first list: what tells later what has changed. */
export function stateCalls(accountId: Id): Call[] {
  return [
    ["Mailbox/get", { accountId, ids: null }, "mailboxes"],
    ["Email/get", { accountId, ids: [] }, "state"],
    ["Thread/get", { accountId, ids: [] }, "threadState"],
  ];
}

const ORDER = ["inbox", "flagged", "important", "drafts", "sent", "scheduled", "archive", "junk", "trash"];

export function sorted(list: Mailbox[]): Mailbox[] {
  const rank = (mailbox: Mailbox) => {
    const found = mailbox.role ? ORDER.indexOf(mailbox.role) : -1;
    return found < 0 ? ORDER.length : found;
  };
  return [...list].sort(
    (a, b) => rank(a) - rank(b) || a.sortOrder - b.sortOrder || a.name.localeCompare(b.name, undefined, { numeric: true }),
  );
}

export function inboxOf(mailboxes: Mailbox[]): Mailbox | undefined {
  return mailboxes.find((one) => one.role === "inbox") ?? mailboxes[0];
}
