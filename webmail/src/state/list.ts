/**
 * The list of one mailbox or search: a window over as many messages as there are. Only what is looked at is
 * asked for, a page at a time, ids and everything a row shows in one request.
 */

import { computed, effect, signal, untracked } from "@preact/signals";
import { MethodError, SignedOut, Unreachable, type Answers, type Call } from "../jmap/client";
import { listCalls, PAGE } from "../jmap/first";
import type { EmailSummary, Filter, GetResult, Id, QueryResult, Thread } from "../jmap/types";
import { filterOf } from "../lib/search";
import { client, jmap, mailAccount, preferences, route, sayError } from "./app";
import { waitingChanges } from "./changes";
import { search } from "./seen";
import { byId, inbox, knownState, mailboxes, merge, pathOf, refreshCalls, refreshed, summaries, threads, tick } from "./mail";

export { PAGE } from "../jmap/first";

export interface Row {
  id: Id; // of the message that stands for its conversation
  email: EmailSummary;
  emails: EmailSummary[]; // of the conversation, oldest first; only itself where conversations are off
}

export class MessageList {
  readonly total = signal<number | null>(null);
  readonly failed = signal("");
  readonly version = signal(0);
  readonly seenOnly = signal(false); // found without a network, among what was seen here
  private ids = new Map<number, Id>();
  private asked = new Set<number>();
  private generation = 0;
  visible: [number, number] = [0, 0];

  constructor(readonly filter: Filter, readonly mailbox: Id, readonly collapsed: boolean) {}

  at(position: number): Row | null {
    const id = this.ids.get(position);
    const email = id === undefined ? undefined : summaries.get(id);
    return email ? this.row(email) : null;
  }

  row(email: EmailSummary): Row {
    if (!this.collapsed) return { id: email.id, email, emails: [email] };
    const emails = (threads.get(email.threadId) ?? [email.id])
      .map((id) => summaries.get(id))
      .filter((one): one is EmailSummary => !!one && (one.id === email.id || this.shows(one)));
    return { id: email.id, email, emails: emails.length ? emails : [email] };
  }

  /** Of a conversation, what lies in junk or trash is shown only there. */
  private shows(email: EmailSummary): boolean {
    const places = Object.keys(email.mailboxIds);
    if (this.mailbox && places.includes(this.mailbox)) return true;
    return places.some((id) => !["junk", "trash"].includes(byId.value.get(id)?.role ?? ""));
  }

  position(id: Id): number {
    for (const [position, found] of this.ids) if (found === id) return position;
    return -1;
  }

  /** The position of the row of a thread, or of an email where conversations are off. */
  positionOf(open: Id): number {
    for (const [position, id] of this.ids) {
      if (id === open || (this.collapsed && summaries.get(id)?.threadId === open)) return position;
    }
    return -1;
  }

  /** What a row is opened by. */
  opens(row: Row): Id {
    return this.collapsed ? row.email.threadId : row.id;
  }

  /** Asks for what is missing between two positions. */
  async ensure(start: number, end: number): Promise<void> {
    this.visible = [start, end];
    const total = this.total.value ?? Infinity;
    const wanted: number[] = [];
    for (let page = Math.floor(start / PAGE); page * PAGE < Math.min(end, total); page += 1) {
      if (this.asked.has(page)) continue;
      const last = Math.min((page + 1) * PAGE, total === Infinity ? page * PAGE + 1 : total);
      for (let position = page * PAGE; position < last; position += 1) {
        if (!this.ids.has(position)) {
          wanted.push(page);
          break;
        }
      }
    }
    await Promise.all(wanted.map((page) => this.load(page)));
  }

  private async load(page: number): Promise<void> {
    this.asked.add(page);
    const generation = this.generation;
    try {
      const first = this.total.value === null;
      const answers = await jmap().request([...this.calls({ position: page * PAGE }, PAGE), ...(first ? refreshCalls() : [])]);
      if (first) refreshed(answers);
      if (generation === this.generation) this.take(answers);
      this.failed.value = "";
    } catch (error) {
      if (error instanceof SignedOut) client.value = null;
      else if (error instanceof Unreachable) await this.fromSeen();
      else this.failed.value = error instanceof Error ? error.message : String(error);
    } finally {
      this.asked.delete(page);
    }
  }

  /** Without a network: a search among what was seen here; another list only as it was seen. */
  private async fromSeen(): Promise<void> {
    const generation = this.generation;
    const found = this.mailbox && this.total.value !== null ? null : await search(mailAccount.value, this.filter, this.collapsed);
    if (generation !== this.generation) return;
    if (!found || (this.mailbox && !found.ids.length)) {
      this.failed.value = "offline";
      return;
    }
    merge(found.emails);
    for (const [thread, ids] of found.threads) if (!threads.has(thread)) threads.set(thread, ids);
    found.ids.forEach((id, n) => this.ids.set(n, id));
    this.total.value = found.ids.length;
    this.seenOnly.value = true;
    this.failed.value = "";
    this.version.value += 1;
  }

  private calls(window: Record<string, unknown>, limit: number): Call[] {
    return listCalls({ accountId: mailAccount.value, filter: this.filter, collapsed: this.collapsed, window, limit });
  }

  private take(answers: Answers): QueryResult {
    const found = answers.get<QueryResult>("query");
    if (!answers.old) this.seenOnly.value = false;
    merge(answers.get<GetResult<EmailSummary>>("rows").list);
    if (this.collapsed) {
      // A page of very long conversations may pass the server's limit: then their rows stand alone.
      for (const thread of answers.maybe<GetResult<Thread>>("conversations")?.list ?? []) {
        threads.set(thread.id, thread.emailIds);
      }
      merge(answers.maybe<GetResult<EmailSummary>>("members")?.list ?? []);
    }
    // What was moved away without a network is still where it was, for the server.
    const moved = (id: Id) => !!this.mailbox && waitingChanges.value.length > 0 && !summaries.get(id)?.mailboxIds[this.mailbox];
    const ids = found.ids.filter((id) => !moved(id));
    ids.forEach((id, n) => this.ids.set(found.position + n, id));
    if (found.total !== undefined) {
      this.total.value = found.total - (found.ids.length - ids.length);
      for (const position of this.ids.keys()) if (position >= found.total) this.ids.delete(position);
    }
    this.version.value += 1;
    return found;
  }

  /**
   * What is looked at, anew, with everything else that has changed. What stood first stays first.
   * Returns by how many rows the list has moved.
   */
  async refresh(): Promise<number> {
    const [start, end] = this.visible;
    const generation = ++this.generation;
    const from = Math.max(0, start - 10);
    const limit = Math.min(Math.max(PAGE, end - from + 10), 200);
    const anchor = start > 0 ? this.ids.get(start) : undefined;
    const window = anchor ? { anchor, anchorOffset: from - start } : { position: from };
    let answers = await jmap().request([...this.calls(window, limit), ...refreshCalls()]);
    if (answers.old && this.total.value !== null) return 0; // what is shown is newer
    const more = refreshed(answers);
    let moved = 0;
    if (anchor && !answers.maybe("query")) {
      answers = await jmap().request(this.calls({ position: from }, limit));
    }
    if (generation !== this.generation) return 0;
    const before = this.ids;
    this.ids = new Map();
    try {
      const found = this.take(answers);
      if (anchor) {
        const now = found.ids.indexOf(anchor);
        if (now >= 0) moved = found.position + now - start;
      }
    } catch (error) {
      this.ids = before;
      if (!(error instanceof MethodError)) throw error;
    }
    if (more) return moved + (await this.refresh());
    return moved;
  }

  /** Takes rows out before the server has confirmed it: those that no longer belong here. */
  remove(ids: Set<Id>): void {
    const kept = [...this.ids].sort((a, b) => a[0] - b[0]);
    const gone = kept.filter(([, id]) => ids.has(id)).map(([position]) => position);
    if (!gone.length) return;
    this.generation += 1;
    const next = new Map<number, Id>();
    let passed = 0;
    for (const [position, id] of kept) {
      while (passed < gone.length && gone[passed]! < position) passed += 1;
      if (!ids.has(id)) next.set(position - passed, id);
    }
    this.ids = next;
    if (this.total.value !== null) this.total.value -= gone.length;
    this.version.value += 1;
  }

  /** All ids of the list, for a selection of everything; at most so many. */
  async allIds(most: number): Promise<Id[]> {
    const found: Id[] = [];
    while (found.length < most) {
      const page = await jmap().call<QueryResult>("Email/query", {
        accountId: mailAccount.value, filter: this.filter, sort: [{ property: "receivedAt", isAscending: false }],
        collapseThreads: this.collapsed, position: found.length, limit: Math.min(500, most - found.length),
      });
      found.push(...page.ids);
      if (!page.ids.length) break;
    }
    return found;
  }

  known(): Id[] {
    return [...this.ids].sort((a, b) => a[0] - b[0]).map(([, id]) => id);
  }
}

// Which list is shown ------------------------------------------------------------------------------

export const current = computed(() => {
  const search = route.value.search;
  return search || route.value.mailbox || (inbox.value?.id ?? "");
});

export const list = signal<MessageList | null>(null);
export const selection = signal<ReadonlySet<Id>>(new Set());
export const cursor = signal(0);
export const unreadOnly = signal(false);
const scrollTo = signal<{ position: number } | null>(null);
export { scrollTo };

/** The mailbox that is shown; undefined in a search. */
export const shownMailbox = computed(() =>
  route.value.search ? undefined : (byId.value.get(route.value.mailbox) ?? inbox.value),
);

const known = computed(() => mailboxes.value.length > 0);
const shownId = computed(() => shownMailbox.value?.id ?? "");
const searched = computed(() => route.value.search);
const conversations = computed(() => preferences.value.conversations);

let arriving: Promise<void> | null = null;

/** The rows of the first list, where it is under way; never longer than `ms`. */
export function firstRows(ms: number): Promise<void> {
  return Promise.race([arriving ?? Promise.resolve(), new Promise<void>((resolve) => setTimeout(resolve, ms))]);
}

effect(() => {
  if (!known.value || !client.value) {
    list.value = null;
    return;
  }
  const search = searched.value;
  const mailbox = shownId.value;
  const collapsed = conversations.value;
  const unread = unreadOnly.value;
  untracked(() => {
    let filter: Filter = search ? filterOf(search, mailboxes.value, pathOf) : { inMailbox: mailbox };
    if (unread) filter = { operator: "AND", conditions: [filter, { notKeyword: "$seen" }] };
    selection.value = new Set();
    cursor.value = 0;
    const made = new MessageList(filter, search ? "" : mailbox, collapsed);
    list.value = made;
    arriving = made.ensure(0, PAGE);
  });
});

let refreshing: Promise<void> | null = null;
let again = false;

/** After a change that the server tells of, or on return to the page. Many at once are one. */
export function refresh(): Promise<void> {
  if (refreshing) {
    again = true;
    return refreshing;
  }
  refreshing = (async () => {
    await null; // so that it is under way before it can be over
    try {
      do {
        again = false;
        const shown = list.value;
        if (!shown || !client.value) return;
        const moved = await shown.refresh();
        if (moved && shown === list.value) {
          cursor.value = Math.max(0, cursor.value + moved);
          scrollTo.value = { position: moved };
        }
      } while (again);
    } catch (error) {
      if (error instanceof SignedOut) client.value = null;
      else if (!(error instanceof Unreachable)) sayError("error_refresh", error);
    } finally {
      refreshing = null;
    }
  })();
  return refreshing;
}

/** When the server is listened to again: asks first whether anything has changed, which is seldom and cheap. */
export async function catchUp(): Promise<void> {
  await arriving;
  const shown = list.value;
  if (shown?.failed.value) await shown.ensure(0, PAGE);
  if (shown?.seenOnly.value) return refresh();
  const before = knownState();
  try {
    if (before && !refreshed(await jmap().request(refreshCalls())) && knownState() === before) return;
  } catch {
    // The refresh says what is the matter.
  }
  await refresh();
}

export function rowsOf(ids: Iterable<Id>): Row[] {
  const shown = list.value;
  if (!shown) return [];
  void tick.value;
  return [...ids].flatMap((id) => {
    const email = summaries.get(id);
    return email ? [shown.row(email)] : [];
  });
}
