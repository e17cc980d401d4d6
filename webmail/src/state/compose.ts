/** The message being written: what is in it, how it is kept on this device and on the server, followed on others. */

import { effect, signal, untracked } from "@preact/signals";
import { t } from "../i18n";
import { Refused, MethodError, SUBMISSION } from "../jmap/client";
import type { Address, GetResult, Id, Identity, Mailbox, SetResult } from "../jmap/types";
import { parseAddresses, unique } from "../lib/address";
import { stored } from "../lib/dom";
import { ask, client, jmap, mailAccount, online, preferences, reachable, say, sayError } from "./app";
import { startOf } from "./answering";
import { Attachments, type Attachment } from "./attachments";
import { claim, forgetDraft, keepDraft, unlikely, type KeptDraft } from "./kept";
import { emailOf, inWords, type Refusal } from "./letter";
import { refresh } from "./list";
import { waitingChanges } from "./changes";
import { byRole, forgetBody, tellAll } from "./mail";
import { submit, VERSION, whereabouts } from "./sending";
import { signatureHtml, signatureText } from "./signature";

export type Saved = "no" | "saving" | "saved" | "kept" | "failed";

const SAVE_AFTER_MS = 1_500; // of no typing
const SAVE_AT_LEAST_MS = 10_000; // while typing goes on
const KEEP_AFTER_MS = 300; // on this device
const KEEP_PART = 20; // a long text that takes longer is kept less often, so that typing does not wait
const FIRST_RETRY_MS = 3_000;
const LONGEST_RETRY_MS = 60_000;
const MOST_TRIES = 8;

export const identities = signal<Identity[]>([]);

export async function loadIdentities(): Promise<void> {
  const found = await jmap().call<GetResult<Identity>>("Identity/get", {
    accountId: jmap().accountFor(SUBMISSION), ids: null,
  });
  identities.value = found.list;
}

export interface Start {
  key?: string; // of one that was kept on this device
  to?: Address[];
  cc?: Address[];
  bcc?: Address[];
  typed?: [to: string, cc: string, bcc: string];
  subject?: string;
  html?: string;
  text?: string;
  identity?: Id;
  attachments?: Attachment[];
  answers?: { id: Id; keyword: "$answered" | "$forwarded" };
  inReplyTo?: string[];
  references?: string[];
  stored?: Id; // the draft on the server
  messageId?: string;
  plain?: boolean;
  signed?: boolean; // there is a signature already
}

/** What the editor, once it is loaded, does for the composer. */
export interface Body {
  html(): string;
  text(): string;
  focus(): void;
  /** Another signature, "" for none, in the place of the one that stands there. */
  sign(html: string, text: string): void;
}

/** The server has answered, and will not have it as it is. */
function decided(error: unknown): error is Error {
  return error instanceof Refused || error instanceof MethodError || (error instanceof Error && error.name === "NotMade");
}

export class Composer {
  readonly key: string;
  readonly to = signal<Address[]>([]);
  readonly cc = signal<Address[]>([]);
  readonly bcc = signal<Address[]>([]);
  /** What stands in the three fields and is not yet an address. */
  readonly typed = [signal(""), signal(""), signal("")] as const;
  readonly subject = signal("");
  readonly identity = signal<Id>("");
  readonly plain = signal(false);
  readonly saved = signal<Saved>("no");
  readonly sending = signal(false);
  readonly problem = signal("");
  readonly version = signal(0); // of the text, where it does not come from the keyboard
  readonly login = client.value?.session.username ?? "";
  readonly account: Id;
  readonly files: Attachments;
  readonly attachments;
  readonly inReplyTo: string[] | null;
  readonly references: string[] | null;
  answers: Start["answers"];
  focusBody: boolean;
  html: string;
  text: string;
  rich: { html: string; text: string } | null = null; // what became plain, to become rich again
  body: Body | null = null; // of the view
  stored: Id | null;
  messageId: string;
  closed = false;
  tried = false;
  private tries: string[] = []; // names of versions that may have been saved: the answer was lost
  private shown = true;
  private queued: KeptDraft["send"] = null;
  private timer = 0;
  private keeping = 0;
  private cost = 0; // ms that keeping it took the last time
  private wait = FIRST_RETRY_MS;
  private changedAt = 0;
  private saving: Promise<void> | null = null;
  private dirty = false;
  private release: (() => void) | null = null;

  constructor(start: Start) {
    this.key = start.key ?? unlikely();
    const own = jmap().accountFor(SUBMISSION);
    this.account = jmap().account(mailAccount.value)?.accountCapabilities[SUBMISSION] ? mailAccount.value : own;
    this.files = new Attachments(this.account, () => this.touched());
    this.attachments = this.files.list;
    this.answers = start.answers;
    this.inReplyTo = start.inReplyTo ?? null;
    this.references = start.references ?? null;
    this.stored = start.stored ?? null;
    this.html = start.html ?? "";
    this.text = start.text ?? "";
    this.fill(start);
    this.focusBody = this.to.value.length > 0;
    const known = identities.value;
    const wanted = known.find((one) => one.id === (start.identity || preferences.value.identity)) ?? known[0];
    this.identity.value = wanted?.id ?? "";
    this.messageId = start.messageId ?? this.newMessageId();
    if (!start.signed && wanted) this.sign(wanted);
    if (this.stored) this.saved.value = "saved";
    this.claim();
  }

  private claim(): void {
    void claim(this.key).then((release) => {
      this.release = release;
      if (this.closed) release?.();
    });
  }

  private fill(start: Start): void {
    this.to.value = start.to ?? [];
    this.cc.value = start.cc ?? [];
    this.bcc.value = start.bcc ?? [];
    this.typed.forEach((field, n) => (field.value = start.typed?.[n] ?? ""));
    this.subject.value = start.subject ?? "";
    this.files.list.value = start.attachments ?? [];
    this.plain.value = start.plain ?? preferences.value.plain;
  }

  private newMessageId(): string {
    return `${unlikely()}@${this.from?.email.split("@").at(-1) ?? "localhost"}`;
  }

  get from(): Identity | undefined {
    return identities.value.find((one) => one.id === this.identity.value) ?? (this.identity.value ? undefined : identities.value[0]);
  }

  /** The mailbox with this role in the account that is written from. */
  place(role: string): Mailbox | undefined {
    if (this.account === mailAccount.value) return byRole.value.get(role);
    return stored<Mailbox[]>("mailboxes", []).find((one) => one.role === role);
  }

  /** A line to write on, and after a line that stays empty the signature and what is quoted. */
  private sign(identity: Identity): void {
    const html = signatureHtml(identity);
    const text = signatureText(identity);
    this.html = ["<div><br></div>", html, this.html].filter(Boolean).join("<div><br></div>");
    this.text = ["", text, this.text].filter((part, n) => part || !n).join("\n\n");
  }

  /** Writes as somebody else: the signature follows, what was written stays. */
  writeAs(id: Id): void {
    const before = this.from;
    const next = identities.value.find((one) => one.id === id);
    if (!next || !before) return;
    this.identity.value = id;
    this.body?.sign(signatureHtml(next), signatureText(next));
    this.touched();
  }

  content(): { html: string; text: string } {
    const text = this.body ? this.body.text() : this.text;
    return { html: this.plain.value ? "" : (this.body?.html() ?? this.html), text };
  }

  /** Something has been typed or changed: it will be kept here and saved there. */
  touched(): void {
    if (this.closed && !this.queued) return;
    this.dirty = true;
    if (this.saved.value === "saved") this.saved.value = "no";
    this.problem.value = "";
    const now = Date.now();
    this.changedAt ||= now;
    clearTimeout(this.timer);
    const wait = Math.max(0, Math.min(SAVE_AFTER_MS, this.changedAt + SAVE_AT_LEAST_MS - now));
    this.timer = window.setTimeout(() => void this.save(), wait);
    this.keeping ||= window.setTimeout(() => this.keep(), Math.max(KEEP_AFTER_MS, this.cost * KEEP_PART));
  }

  /** On this device, at once, as long as the server does not have it. */
  keep(): void {
    clearTimeout(this.keeping);
    this.keeping = 0;
    if (!this.dirty && !this.queued) return;
    const begun = performance.now();
    if (!keepDraft(this.kept()) && this.saved.value === "kept") this.saved.value = "failed";
    this.cost = performance.now() - begun;
  }

  private kept(): KeptDraft {
    return {
      key: this.key, login: this.login, account: this.account, changedAt: Date.now(), stored: this.stored,
      messageId: this.messageId, to: this.to.value, cc: this.cc.value, bcc: this.bcc.value,
      typed: this.typed.map((one) => one.value) as KeptDraft["typed"], subject: this.subject.value,
      identity: this.identity.value, plain: this.plain.value, ...this.content(),
      files: this.attachments.value.flatMap(({ blobId, name, type, size, cid }) => (blobId ? [{ blobId, name, type, size, cid }] : [])),
      inReplyTo: this.inReplyTo, references: this.references, answers: this.answers ?? null,
      open: this.shown, send: this.queued, tried: this.tried, tries: this.tries,
    };
  }

  get empty(): boolean {
    const text = this.body ? this.body.text() : this.text;
    const lines = [text, this.subject.value, ...this.typed.map((one) => one.value)];
    return lines.every((line) => !line.trim()) && !this.to.value.length && !this.attachments.value.length;
  }

  /** Keeps the draft on the server: a new one takes the place of the old (a message never changes). */
  async save(): Promise<void> {
    clearTimeout(this.timer);
    if (this.saving) await this.saving;
    if (!this.dirty || this.sending.value || (this.closed && !this.queued)) return;
    const drafts = this.place("drafts");
    if (!drafts) return;
    this.dirty = false;
    this.changedAt = 0;
    this.saved.value = "saving";
    this.saving = this.store(drafts.id).finally(() => (this.saving = null));
    await this.saving;
  }

  private async store(drafts: Id): Promise<void> {
    try {
      if (this.tries.length) await this.adopt();
      const before = this.stored;
      const version = unlikely();
      const draft = { ...this.email({ [drafts]: true }), [VERSION]: version };
      this.tries = [...this.tries, version].slice(-MOST_TRIES);
      keepDraft(this.kept());
      const result = await jmap().call<SetResult<{ id: Id }>>("Email/set", {
        accountId: this.account, create: { draft }, ...(before ? { destroy: [before] } : {}),
      });
      this.tries = [];
      const made = result.created?.draft;
      this.stored = made?.id ?? (before && result.notDestroyed?.[before] ? before : null);
      if (!made) throw this.refused(result.notCreated?.draft);
      this.wait = FIRST_RETRY_MS;
      if (before) forgetBody(before);
      if (before && result.notDestroyed?.[before]) await this.part(made.id);
      this.saved.value = this.dirty ? "no" : "saved";
      if (!this.dirty) forgetDraft(this.key);
    } catch (error) {
      this.dirty = true;
      const no = decided(error);
      this.saved.value = no ? "failed" : "kept";
      this.keep();
      if (no) this.problem.value = error.message;
      clearTimeout(this.timer);
      this.timer = window.setTimeout(() => void this.save(), this.wait);
      this.wait = Math.min(this.wait * 2, LONGEST_RETRY_MS);
    }
  }

  /** An earlier version was saved after all: the next one takes its place. */
  private async adopt(): Promise<void> {
    const found = (await whereabouts(this.account, this.messageId)).filter((one) => one.keywords.$draft);
    this.stored = found.find((one) => this.tries.includes(String(one[VERSION] ?? "").trim()))?.id ?? this.stored;
  }

  refused(why: Refusal | undefined): Error {
    if (why?.type === "blobNotFound") this.files.lost(why.notFound ?? []);
    const error = new Error(why ? inWords(why, this.from?.email ?? "") : "");
    error.name = "NotMade";
    return error;
  }

  /** The network, or the session, is back. */
  resume(): void {
    this.files.retry();
    if (this.dirty) void this.save();
  }

  /**
   * The version that this one should have replaced was gone: another device went on with it, at the same
   * time. Both are kept, from now on as two messages.
   */
  private async part(made: Id): Promise<void> {
    const found = await whereabouts(this.account, this.messageId).catch(() => []);
    const others = found.filter((one) => one.id !== made);
    this.messageId = this.newMessageId();
    this.dirty = true;
    this.touched();
    if (others.some((one) => !one.keywords.$draft)) say(t("draft_sent_elsewhere_too"), { error: true, ms: 12_000 });
    else if (others.length) say(t("draft_parted"), { error: true, ms: 12_000 });
  }

  /** The version on the server is gone, or no draft any more, and nothing was typed here since: who did what? */
  async follow(): Promise<void> {
    if (this.saving) await this.saving;
    const before = this.stored;
    if (this.dirty || this.closed || this.sending.value || !before) return;
    const found = await whereabouts(this.account, this.messageId).catch(() => null);
    if (!found || this.dirty || this.stored !== before || found.some((one) => one.id === before && one.keywords.$draft)) return;
    const draft = found.find((one) => one.keywords.$draft);
    if (draft) {
      const start = await startOf(draft.id).catch(() => null);
      if (start && !this.dirty && this.stored === before && !this.closed) this.take(start);
    } else if (found.length) {
      this.end();
      say(t("draft_sent_elsewhere"));
    } else {
      this.stored = null;
      this.saved.value = "no";
      say(t("draft_discarded_elsewhere"));
    }
  }

  private take(start: Start): void {
    this.fill(start);
    this.html = start.html ?? "";
    this.text = start.text ?? "";
    this.identity.value = start.identity ?? this.identity.value;
    this.stored = start.stored ?? null;
    this.rich = null;
    this.body = null;
    this.focusBody = false;
    this.saved.value = "saved";
    this.version.value += 1;
  }

  email(mailboxIds: Record<Id, boolean>): Record<string, unknown> {
    return emailOf(this, mailboxIds);
  }

  attach(files: Iterable<File>, inline = false): Promise<Attachment[]> {
    return this.files.add(files, inline);
  }

  /** Takes what is typed in the address fields for addresses. What is none of them stays; "" for nothing. */
  flush(): string {
    const bad: string[] = [];
    [this.to, this.cc, this.bcc].forEach((list, n) => {
      const field = this.typed[n]!;
      if (!field.value.trim()) return;
      const { found, rest } = parseAddresses(field.value);
      if (found.length) list.value = unique([...list.value, ...found]);
      field.value = rest;
      if (rest) bad.push(rest);
    });
    return bad.join(", ");
  }

  /** The view is gone; what is left to do here is done. */
  private end(): void {
    clearTimeout(this.timer);
    clearTimeout(this.keeping);
    this.keeping = 0;
    this.closed = true;
    this.queued = null;
    forgetDraft(this.key);
    this.release?.();
    if (composer.value === this) composer.value = null;
  }

  /** It stays kept on this device, for when its writer is here again. */
  abandon(): void {
    this.keep();
    clearTimeout(this.timer);
    this.closed = true;
    this.queued = null;
    this.release?.();
    waiting.delete(this);
    if (composer.value === this) composer.value = null;
    outbox.value = [...waiting].filter((one) => one.queued).length;
  }

  private remember(): void {
    if (this.body) ({ html: this.html, text: this.text } = this.content());
  }

  /** Closes and keeps the draft: on the server, or without a network on this device until there is one. */
  async close(): Promise<void> {
    if (this.sending.value) return;
    this.flush();
    this.remember();
    this.shown = false;
    if (composer.value === this) composer.value = null;
    if (this.empty && !this.stored) {
      this.end();
      return;
    }
    if (this.files.pending) {
      say(t("draft_uploading"));
      await this.files.settled();
    }
    const changed = this.dirty;
    await this.save();
    if (this.dirty) {
      const kept = this.saved.value === "kept";
      if (!kept) composer.value ??= this;
      if (composer.value === this) this.shown = true;
      else waiting.add(this);
      say(t(kept ? "draft_kept" : "draft_not_saved"), { error: !kept });
      return;
    }
    this.end();
    if (changed) {
      say(t("draft_saved"));
      void refresh();
    }
  }

  async discard(): Promise<void> {
    clearTimeout(this.timer);
    this.remember();
    const empty = this.empty || (!this.dirty && !this.stored);
    const kept = this.kept();
    this.end();
    if (empty) {
      await this.throwAway();
      return;
    }
    // What was written is kept until it is certain that nobody wants it back.
    const undo = () => {
      this.closed = false;
      this.shown = true;
      this.claim();
      keepDraft(kept);
      void show(this).then(() => this.touched());
    };
    say(t("draft_discarded"), { action: { label: t("undo"), run: undo }, otherwise: () => void this.throwAway() });
  }

  private async throwAway(): Promise<void> {
    if (this.saving) await this.saving;
    if (!this.stored) return;
    try {
      await jmap().call("Email/set", { accountId: this.account, destroy: [this.stored] });
      await refresh();
    } catch (error) {
      sayError("error_change", error);
    }
  }

  /** What keeps it from being sent; "" for nothing. */
  private hindrance(bad: string): string {
    if (bad) return t("bad_address", { address: bad });
    const all = [...this.to.value, ...this.cc.value, ...this.bcc.value];
    if (!all.length) return t("no_recipients");
    if (!this.from) return t("no_identity");
    const shown = this.attachments.value.filter((one) => !one.cid || this.plain.value || !one.error);
    if (shown.some((one) => one.error)) return t("attachment_has_failed");
    if (shown.some((one) => !one.blobId)) return t("attachment_under_way");
    return "";
  }

  /** at: send not before; null: now, with a few seconds to take it back. */
  async send(at: Date | null = null): Promise<void> {
    if (this.sending.value || this.closed) return;
    const problem = this.hindrance(this.flush());
    if (problem) {
      this.problem.value = problem;
      return;
    }
    if (!this.subject.value.trim() && (await ask({
      title: t("no_subject_title"), text: t("no_subject_text"), yes: t("send_anyway"),
    })) === null) return;
    const own = this.content().text.split(/^(>|-- $|----------)/m)[0] ?? "";
    if (!this.attachments.value.length && t("attach_words").split("|").some((word) => own.toLowerCase().includes(word)) &&
      (await ask({ title: t("attach_forgotten"), text: t("attach_forgotten_text"), yes: t("send_anyway") })) === null) return;
    if (this.closed) return;
    clearTimeout(this.timer);
    this.remember();
    this.sending.value = true;
    if (this.saving) await this.saving;
    this.queued = { at: at?.toISOString() ?? null };
    this.dirty = true;
    this.keep();
    await this.deliver();
  }

  /** Sends what waits; without a network it goes on waiting. Returns whether it is over, in one way or the other. */
  async deliver(): Promise<boolean> {
    this.sending.value = true;
    try {
      await submit(this, this.queued?.at ? new Date(this.queued.at) : null);
      waiting.delete(this);
      this.end();
      return true;
    } catch (error) {
      this.sending.value = false;
      const no = decided(error);
      if (!no) {
        this.shown = false;
        this.keep();
        waiting.add(this);
        if (composer.value === this) {
          composer.value = null;
          say(t("send_waits"), { ms: 8000 });
        }
        return false;
      }
      this.queued = null;
      this.shown = true;
      this.dirty = true;
      this.keep();
      waiting.delete(this);
      await show(this);
      this.problem.value = error.message || t("error_send");
      return true;
    } finally {
      outbox.value = [...waiting].filter((one) => one.queued).length;
    }
  }

  get waits(): boolean {
    return !!this.queued;
  }

  /** As it was kept on this device by an earlier page. */
  static revive(kept: KeptDraft, start: Start): Composer {
    const made = new Composer({ ...start, key: kept.key });
    made.queued = kept.send;
    made.tried = kept.tried;
    made.tries = kept.tries;
    made.dirty = true;
    made.shown = kept.open;
    return made;
  }
}

export const composer = signal<Composer | null>(null);
/** Closed ones that the server does not have yet: drafts to save, messages to send. */
export const waiting = new Set<Composer>();
/** How many messages wait for a network to be sent. */
export const outbox = signal(0);

/** One is written at a time: what stood there is closed and kept. */
export async function show(next: Composer): Promise<void> {
  const before = composer.value;
  if (before && before !== next) {
    composer.value = next;
    await before.close();
    if (waiting.has(before) && before.saved.value === "failed") {
      // The server does not take it: better in sight than the one that has only just begun.
      waiting.delete(before);
      next = before;
    }
  }
  composer.value = next;
}

const AGAIN_MS = 10_000; // what shall be sent and could not, though there is a network
let running: Promise<void> | null = null;
let again = 0;

/** The network is back, or somebody has signed in again: what waits is saved and sent, one after the other. */
export function resumeAll(): Promise<void> {
  composer.peek()?.resume();
  running ??= (async () => {
    await null; // not within what has noticed it
    if (waitingChanges.value.length) await tellAll().then(() => refresh());
    for (const one of [...waiting]) {
      if (!client.value || !online.value || one.login !== client.value.session.username) break;
      if (one.waits) {
        if (!(await one.deliver())) break;
      } else {
        waiting.delete(one);
        await one.close();
        if (waiting.has(one)) break;
      }
    }
  })().finally(() => {
    running = null;
    clearTimeout(again);
    if (outbox.value && client.value && online.value) again = window.setTimeout(() => void resumeAll(), AGAIN_MS);
  });
  return running;
}

effect(() => {
  if (online.value && reachable.value && client.value) untracked(() => void resumeAll());
});

client.subscribe((now) => {
  if (now === undefined) return;
  const login = now?.session.username;
  if (now === null) identities.value = [];
  // Signed in again as the same: it goes on where it was. As somebody else: it is none of theirs.
  for (const one of [...waiting, ...(composer.value ? [composer.value] : [])]) if (login && one.login !== login) one.abandon();
});

addEventListener("pagehide", () => composer.value?.keep());
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState !== "hidden") return;
  composer.value?.keep();
  void composer.value?.save();
});
addEventListener("beforeunload", (event) => {
  if (composer.value?.files.pending || [...waiting].some((one) => one.files.pending)) event.preventDefault();
});
