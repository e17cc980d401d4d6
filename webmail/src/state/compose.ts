/** The message being written: what is in it, how it is saved, sent, taken back. */

import { batch, signal } from "@preact/signals";
import { mediumDate, t } from "../i18n";
import { MethodError, PRINCIPALS, Refused, SUBMISSION, type Call } from "../jmap/client";
import type { Address, BodyPart, Email, EmailSubmission, GetResult, Id, Identity, Principal, SetResult } from "../jmap/types";
import { nameOf, sameAddress, unique, written } from "../lib/address";
import { escapeHtml, htmlToText, linked } from "../lib/text";
import { ask, jmap, mailAccount, preferences, say, sayError } from "./app";
import { refresh } from "./list";
import { byRole, forgetBody, loadEmails } from "./mail";

export interface Attachment {
  key: number;
  name: string;
  type: string;
  size: number;
  blobId: Id | null; // null while it is being uploaded
  part: number; // uploaded so far, 0 to 1
  cid: string | null; // of an image that stands in the text
  error: string;
  stop: AbortController | null;
}

export type Saved = "no" | "saving" | "saved" | "failed";

const SAVE_AFTER_MS = 1_500; // of no typing
const SAVE_AT_LEAST_MS = 10_000; // while typing goes on
let keys = 0;

export const identities = signal<Identity[]>([]);

export async function loadIdentities(): Promise<void> {
  const found = await jmap().call<GetResult<Identity>>("Identity/get", {
    accountId: jmap().accountFor(SUBMISSION), ids: null,
  });
  identities.value = found.list;
}

export interface Start {
  to?: Address[];
  cc?: Address[];
  bcc?: Address[];
  subject?: string;
  html?: string;
  text?: string;
  identity?: Id;
  attachments?: Attachment[];
  answers?: { id: Id; keyword: "$answered" | "$forwarded" };
  inReplyTo?: string[];
  references?: string[];
  stored?: Id; // the draft on the server
  plain?: boolean;
  signed?: boolean; // there is a signature already
}

/** What the editor, once it is loaded, does for the composer. */
export interface Body {
  html(): string;
  text(): string;
  focus(): void;
}

export class Composer {
  readonly key = ++keys;
  readonly to = signal<Address[]>([]);
  readonly cc = signal<Address[]>([]);
  readonly bcc = signal<Address[]>([]);
  readonly subject = signal("");
  readonly identity = signal<Id>("");
  readonly attachments = signal<Attachment[]>([]);
  readonly plain = signal(false);
  readonly saved = signal<Saved>("no");
  readonly sending = signal(false);
  readonly problem = signal("");
  readonly answers: Start["answers"];
  readonly focusBody: boolean;
  html: string;
  text: string;
  signature = ""; // the one that stands in the text, as it was put there
  body: Body | null = null; // of the view
  private stored: Id | null;
  private inReplyTo: string[] | null;
  private references: string[] | null;
  private timer = 0;
  private changedAt = 0;
  private saving: Promise<void> | null = null;
  private dirty = false;
  private closed = false;

  constructor(start: Start) {
    this.to.value = start.to ?? [];
    this.cc.value = start.cc ?? [];
    this.bcc.value = start.bcc ?? [];
    this.subject.value = start.subject ?? "";
    this.attachments.value = start.attachments ?? [];
    this.plain.value = start.plain ?? preferences.value.plain;
    this.answers = start.answers;
    this.inReplyTo = start.inReplyTo ?? null;
    this.references = start.references ?? null;
    this.stored = start.stored ?? null;
    this.html = start.html ?? "";
    this.text = start.text ?? "";
    this.focusBody = this.to.value.length > 0;
    const known = identities.value;
    const wanted = known.find((one) => one.id === (start.identity || preferences.value.identity)) ?? known[0];
    this.identity.value = wanted?.id ?? "";
    if (!start.signed && wanted) this.sign(wanted);
    if (this.stored) this.saved.value = "saved";
  }

  get from(): Identity | undefined {
    return identities.value.find((one) => one.id === this.identity.value);
  }

  /** A line to write on, and after a line that stays empty the signature and what is quoted. */
  private sign(identity: Identity): void {
    const html = signatureHtml(identity);
    const text = signatureText(identity);
    this.signature = identity.id;
    this.html = ["<div><br></div>", html, this.html].filter(Boolean).join("<div><br></div>");
    this.text = ["", text, this.text].filter((part, n) => part || !n).join("\n\n");
  }

  /** Something has been typed or changed: it will be saved. */
  touched(): void {
    this.dirty = true;
    this.problem.value = "";
    const now = Date.now();
    this.changedAt ||= now;
    clearTimeout(this.timer);
    const wait = Math.max(0, Math.min(SAVE_AFTER_MS, this.changedAt + SAVE_AT_LEAST_MS - now));
    this.timer = window.setTimeout(() => void this.save(), wait);
  }

  get empty(): boolean {
    const text = this.body ? this.body.text() : this.text;
    return !text.trim() && !this.subject.value.trim() && !this.to.value.length && !this.attachments.value.length;
  }

  /** Keeps the draft on the server: a new one takes the place of the old (a message never changes). */
  async save(): Promise<void> {
    clearTimeout(this.timer);
    if (this.saving) await this.saving;
    if (!this.dirty || this.sending.value || this.closed) return;
    const drafts = byRole.value.get("drafts");
    if (!drafts) return;
    this.dirty = false;
    this.changedAt = 0;
    this.saved.value = "saving";
    this.saving = (async () => {
      try {
        const before = this.stored;
        const result = await jmap().call<SetResult<{ id: Id }>>("Email/set", {
          accountId: mailAccount.value,
          create: { draft: this.email({ [drafts.id]: true }) },
          ...(before ? { destroy: [before] } : {}),
        });
        const made = result.created?.draft;
        if (!made) throw refused(result.notCreated?.draft);
        this.stored = made.id;
        if (before) forgetBody(before);
        this.saved.value = this.dirty ? "no" : "saved";
      } catch (error) {
        this.dirty = true;
        this.saved.value = "failed";
        if (error instanceof Refused || error instanceof MethodError) this.problem.value = error.message;
      } finally {
        this.saving = null;
      }
    })();
    await this.saving;
  }

  /** The object of Email/set (RFC 8621 section 4.6). */
  private email(mailboxIds: Record<Id, boolean>): Record<string, unknown> {
    const from = this.from;
    const bodyValues: Record<string, unknown> = {};
    const text = this.body ? this.body.text() : this.text;
    bodyValues.text = { value: text };
    let structure: Record<string, unknown> = { partId: "text", type: "text/plain" };
    const ready = this.attachments.value.filter((one) => one.blobId);
    if (!this.plain.value) {
      const html = this.body ? this.body.html() : this.html;
      bodyValues.html = { value: documentOf(html) };
      const used = ready.filter((one) => one.cid && html.includes(`cid:${one.cid}`));
      let rich: Record<string, unknown> = { partId: "html", type: "text/html" };
      if (used.length) {
        rich = { type: "multipart/related", subParts: [rich, ...used.map((one) => part(one, "inline"))] };
      }
      structure = { type: "multipart/alternative", subParts: [structure, rich] };
    }
    const files = ready.filter((one) => !one.cid);
    if (files.length) {
      structure = { type: "multipart/mixed", subParts: [structure, ...files.map((one) => part(one, "attachment"))] };
    }
    return {
      mailboxIds,
      keywords: { $draft: true, $seen: true },
      from: from ? [{ name: from.name || null, email: from.email }] : null,
      to: this.to.value.length ? this.to.value : null,
      cc: this.cc.value.length ? this.cc.value : null,
      bcc: this.bcc.value.length ? this.bcc.value : null,
      ...(from?.replyTo?.length ? { replyTo: from.replyTo } : {}),
      subject: this.subject.value,
      ...(this.inReplyTo ? { inReplyTo: this.inReplyTo } : {}),
      ...(this.references ? { references: this.references } : {}),
      sentAt: localIso(new Date()),
      bodyStructure: structure,
      bodyValues,
    };
  }

  async attach(files: Iterable<File>, inline = false): Promise<Attachment[]> {
    const most = jmap().limit("maxSizeUpload", 50_000_000);
    const made: Attachment[] = [...files].map((file) => ({
      key: ++keys, name: file.name || "image.png", type: file.type || "application/octet-stream", size: file.size,
      blobId: null, part: 0, cid: inline ? `${crypto.randomUUID()}@postillon` : null, error: "", stop: new AbortController(),
    }));
    this.attachments.value = [...this.attachments.value, ...made];
    await Promise.all(made.map(async (one, n) => {
      const file = [...files][n]!;
      try {
        if (file.size > most) throw new Error(t("attachment_too_big"));
        const found = await jmap().upload(
          mailAccount.value, file, (part) => this.update(one.key, { part }), one.stop?.signal,
        );
        this.update(one.key, { blobId: found.blobId, part: 1, stop: null, size: found.size });
        one.blobId = found.blobId;
        this.touched();
      } catch (error) {
        if (error instanceof DOMException) return;
        this.update(one.key, { error: error instanceof Error && error.message ? error.message : t("attachment_failed"), stop: null });
      }
    }));
    return made;
  }

  private update(key: number, change: Partial<Attachment>): void {
    this.attachments.value = this.attachments.value.map((one) => (one.key === key ? { ...one, ...change } : one));
  }

  detach(key: number): void {
    this.attachments.value.find((one) => one.key === key)?.stop?.abort();
    this.attachments.value = this.attachments.value.filter((one) => one.key !== key);
    this.touched();
  }

  /** Closes and keeps the draft. */
  async close(): Promise<void> {
    if (composer.value === this) composer.value = null;
    if (this.empty && !this.stored) return;
    const changed = this.dirty;
    await this.save();
    if (this.saved.value === "failed") {
      composer.value ??= this;
      say(t("draft_not_saved"), { error: true });
      return;
    }
    this.closed = true;
    if (changed) {
      say(t("draft_saved"));
      void refresh();
    }
  }

  async discard(): Promise<void> {
    clearTimeout(this.timer);
    composer.value = null;
    const undo = () => {
      this.closed = false;
      composer.value = this;
      this.touched();
    };
    if (!this.empty) {
      // What was written is kept until it is certain that nobody wants it back.
      if (this.body) {
        this.html = this.body.html();
        this.text = this.body.text();
      }
      this.closed = true;
      say(t("draft_discarded"), { action: { label: t("undo"), run: undo }, otherwise: () => void this.throwAway() });
    } else {
      this.closed = true;
      await this.throwAway();
    }
  }

  private async throwAway(): Promise<void> {
    if (this.saving) await this.saving;
    if (!this.stored) return;
    try {
      await jmap().call("Email/set", { accountId: mailAccount.value, destroy: [this.stored] });
      await refresh();
    } catch (error) {
      sayError("error_change", error);
    }
  }

  /** What keeps it from being sent; "" for nothing. */
  hindrance(): string {
    const all = [...this.to.value, ...this.cc.value, ...this.bcc.value];
    if (!all.length) return t("no_recipients");
    if (!this.from) return t("no_identity");
    if (this.attachments.value.some((one) => one.error)) return t("attachment_has_failed");
    if (this.attachments.value.some((one) => !one.blobId)) return t("attachment_under_way");
    return "";
  }

  /** at: send not before; null: now, with a few seconds to take it back. */
  async send(at: Date | null = null): Promise<void> {
    const problem = this.hindrance();
    if (problem) {
      this.problem.value = problem;
      return;
    }
    if (!this.subject.value.trim() && (await ask({
      title: t("no_subject_title"), text: t("no_subject_text"), yes: t("send_anyway"),
    })) === null) return;
    const text = this.body ? this.body.text() : this.text;
    const own = text.split(/^(>|-- $)/m)[0] ?? "";
    if (!this.attachments.value.length && t("attach_words").split("|").some((word) => own.toLowerCase().includes(word)) &&
      (await ask({ title: t("attach_forgotten"), text: t("attach_forgotten_text"), yes: t("send_anyway") })) === null) return;
    clearTimeout(this.timer);
    if (this.body) {
      this.html = this.body.html();
      this.text = this.body.text();
    }
    this.sending.value = true;
    if (this.saving) await this.saving;
    try {
      await this.submit(at);
    } catch (error) {
      this.sending.value = false;
      this.dirty = true;
      composer.value = this;
      this.problem.value = error instanceof Error && error.message ? error.message : t("error_send");
    }
  }

  private async submit(at: Date | null): Promise<void> {
    const from = this.from!;
    const drafts = byRole.value.get("drafts");
    const sent = byRole.value.get("sent");
    const first = drafts ?? sent;
    if (!first) throw new Error(t("no_such_mailbox", { name: t("role_sent") }));
    const accountId = mailAccount.value;
    const submission = jmap().accountFor(SUBMISSION);
    const most = maxDelay();
    const hold = at ? Math.max(1, Math.round((at.getTime() - Date.now()) / 1000)) : preferences.value.undoSeconds;
    const delay = Math.min(hold, most);
    const everybody = unique([...this.to.value, ...this.cc.value, ...this.bcc.value, ...(from.bcc ?? [])]);
    const toSent: Record<string, unknown> = { "keywords/$draft": null };
    if (sent && sent.id !== first.id) Object.assign(toSent, { [`mailboxIds/${first.id}`]: null, [`mailboxIds/${sent.id}`]: true });
    const calls: Call[] = [
      ["Email/set", {
        accountId, create: { draft: this.email({ [first.id]: true }) }, ...(this.stored ? { destroy: [this.stored] } : {}),
      }, "email"],
      ["EmailSubmission/set", {
        accountId: submission,
        create: { sub: {
          identityId: from.id, emailId: "#draft",
          envelope: {
            mailFrom: { email: from.email, parameters: delay > 0 ? { HOLDFOR: String(delay) } : null },
            rcptTo: everybody.map((one) => ({ email: one.email, parameters: null })),
          },
        } },
        onSuccessUpdateEmail: { "#sub": toSent },
      }, "submission"],
    ];
    if (this.answers) {
      calls.push(["Email/set", {
        accountId, update: { [this.answers.id]: { [`keywords/${this.answers.keyword}`]: true } },
      }, "answered"]);
    }
    const answers = await jmap().request(calls);
    const made = answers.get<SetResult<{ id: Id }>>("email");
    const email = made.created?.draft;
    if (!email) throw refused(made.notCreated?.draft);
    this.stored = email.id;
    const sending = answers.get<SetResult<{ id: Id }>>("submission");
    const found = sending.created?.sub;
    if (!found) throw refused(sending.notCreated?.sub);
    this.closed = true;
    composer.value = null;
    remember(everybody);
    void refresh();
    const undo = delay > 0 ? { action: { label: t("undo"), run: () => void cancelSubmission(found.id, email.id, true) } } : {};
    const seconds = Math.max(1, delay - 1) * 1000;
    if (at) say(t("scheduled_for", { time: mediumDate(at.toISOString()) }), undo);
    else say(t("sent"), { ...undo, ms: delay > 0 ? seconds : 4000 });
  }
}

export const composer = signal<Composer | null>(null);

function part(one: Attachment, disposition: "inline" | "attachment"): Record<string, unknown> {
  return {
    blobId: one.blobId, type: one.type, name: one.name, disposition, ...(disposition === "inline" ? { cid: one.cid } : {}),
  };
}

function refused(why: { type: string; description?: string | null } | undefined): Error {
  return new Error(why?.description || why?.type || "");
}

/** Seconds that the server can hold a message back (RFC 8621 section 1.3.2). */
export function maxDelay(): number {
  const found = jmap().account(jmap().accountFor(SUBMISSION))?.accountCapabilities[SUBMISSION]?.maxDelayedSend;
  return typeof found === "number" ? found : 0;
}

/** Takes a message back that waits to be sent, and makes a draft of it again. */
export async function cancelSubmission(id: Id, email: Id, edit: boolean): Promise<void> {
  const drafts = byRole.value.get("drafts");
  try {
    const result = await jmap().call<SetResult<EmailSubmission>>("EmailSubmission/set", {
      accountId: jmap().accountFor(SUBMISSION), update: { [id]: { undoStatus: "canceled" } },
    });
    if (result.notUpdated?.[id]) {
      say(t("too_late"), { error: true });
      return;
    }
    const patch: Record<string, unknown> = { "keywords/$draft": true };
    if (drafts) patch.mailboxIds = { [drafts.id]: true };
    await jmap().call("Email/set", { accountId: mailAccount.value, update: { [email]: patch } });
    say(t("sending_undone"));
    void refresh();
    if (edit) await editDraft(email);
  } catch (error) {
    sayError("error_change", error);
  }
}

function localIso(date: Date): string {
  const offset = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + offset * 60_000).toISOString().slice(0, 19);
  const two = (n: number) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `${local}${offset < 0 ? "-" : "+"}${two(offset / 60)}:${two(offset % 60)}`;
}

function documentOf(html: string): string {
  return `<!DOCTYPE html><html><head><meta charset="utf-8"></head><body>${html}</body></html>`;
}

// Signatures ---------------------------------------------------------------------------------------

export function signatureHtml(identity: Identity): string {
  const html = identity.htmlSignature || identity.textSignature.split("\n").map((line) => escapeHtml(line)).join("<br>");
  return html.trim() ? `<div class="signature" data-signature="1">-- <br>${html}</div>` : "";
}

export function signatureText(identity: Identity): string {
  let text = identity.textSignature;
  if (!text && identity.htmlSignature) text = htmlToText(quotableBox(identity.htmlSignature));
  return text.trim() ? `-- \n${text}` : "";
}

function quotableBox(html: string): HTMLElement {
  const box = document.implementation.createHTMLDocument("").createElement("div");
  box.innerHTML = quotable(html).html;
  return box;
}

// Beginning ----------------------------------------------------------------------------------------

let quotable: typeof import("../lib/html").quotable;

/** What every text begins with: the names to write as, and the sanitiser, whose code comes when it is wanted. */
async function ready(): Promise<void> {
  const code = import("../lib/html");
  if (!identities.value.length) await loadIdentities().catch((error) => sayError("error_identities", error));
  quotable = (await code).quotable;
}

async function begin(start: Start): Promise<void> {
  await ready();
  const before = composer.value;
  if (before) await before.close();
  batch(() => (composer.value = new Composer(start)));
}

export async function compose(start: Start): Promise<void> {
  await begin(start);
}

/** A mailto: link (RFC 6068). */
export function composeTo(url: string): void {
  const [addresses = "", query = ""] = url.replace(/^mailto:/i, "").split("?");
  const fields = new URLSearchParams(query.replaceAll("+", "%2B"));
  const listOf = (text: string): Address[] =>
    text.split(",").map((one) => one.trim()).filter(Boolean).map((email) => ({ name: null, email }));
  const text = fields.get("body") ?? "";
  void begin({
    to: [...listOf(decodeURIComponent(addresses)), ...listOf(fields.get("to") ?? "")],
    cc: listOf(fields.get("cc") ?? ""),
    subject: fields.get("subject") ?? "",
    text, html: text ? text.split("\n").map((line) => `<div>${linked(line) || "<br>"}</div>`).join("") : "",
  });
}

function mine(address: Address): boolean {
  return identities.value.some((one) => sameAddress(one.email, address.email));
}

/** The identity that a message was sent to. */
function addressed(email: Email): Id {
  const all = [...(email.to ?? []), ...(email.cc ?? []), ...(email.from ?? [])];
  const chosen = identities.value.find((one) => one.id === preferences.value.identity);
  if (chosen && all.some((address) => sameAddress(address.email, chosen.email))) return chosen.id;
  return identities.value.find((one) => all.some((address) => sameAddress(address.email, one.email)))?.id ?? "";
}

function prefixed(prefix: "Re" | "Fwd", subject: string | null): string {
  const known = prefix === "Re" ? /^\s*(re|aw|sv|antw|rép|ref)\s*(\[\d+\])?\s*:\s*/i : /^\s*(fwd?|wg|tr|vs)\s*:\s*/i;
  let rest = subject ?? "";
  while (known.test(rest)) rest = rest.replace(known, "");
  return `${prefix}: ${rest}`;
}

interface Quoted {
  html: string;
  text: string;
  embedded: string[];
}

function contentOf(email: Email): Quoted {
  const textOf = (part: BodyPart) => (part.partId ? (email.bodyValues[part.partId]?.value ?? "") : "");
  const isHtml = email.htmlBody.some((part) => part.type === "text/html");
  const embedded: string[] = [];
  const html = email.htmlBody
    .map((part) => {
      if (part.type !== "text/html") return part.type.startsWith("text/") ? plainHtml(textOf(part)) : "";
      try {
        const found = quotable(textOf(part));
        embedded.push(...found.embedded);
        return found.html;
      } catch {
        return "";
      }
    })
    .join("<br>");
  const plain = email.textBody.filter((part) => part.type === "text/plain").map(textOf).join("\n");
  const text = plain || (isHtml ? htmlToText(quotableBox(html)) : "");
  return { html: html || plainHtml(text), text: text.replace(/\r\n/g, "\n"), embedded };
}

function plainHtml(text: string): string {
  return text.replace(/\r\n/g, "\n").split("\n").map((line) => `<div>${linked(line) || "<br>"}</div>`).join("");
}

/** Images that stand in a quoted text go with it; other attachments only where they are forwarded. */
function carried(email: Email, embedded: string[], all: boolean): Attachment[] {
  return email.attachments
    .filter((one) => (one.cid && embedded.includes(one.cid)) || all)
    .map((one) => ({
      key: ++keys, name: one.name ?? t("unnamed"), type: one.type, size: one.size, blobId: one.blobId, part: 1,
      cid: one.cid && embedded.includes(one.cid) ? one.cid : null, error: "", stop: null,
    }));
}

export async function reply(email: Email, all: boolean): Promise<void> {
  await ready();
  const own = email.from?.length ? email.from.every(mine) : false;
  const back = own ? (email.to ?? []) : email.replyTo?.length ? email.replyTo : (email.from ?? []);
  const to = unique(all && !own ? [...back, ...(email.to ?? []).filter((one) => !mine(one))] : back);
  const cc = all ? unique((email.cc ?? []).filter((one) => !mine(one) && !to.some((two) => sameAddress(one.email, two.email)))) : [];
  const quoted = contentOf(email);
  const who = email.from?.[0];
  const intro = t("wrote", { date: mediumDate(email.sentAt ?? email.receivedAt), name: who ? nameOf(who) : "?" });
  await begin({
    to, cc, subject: prefixed("Re", email.subject), identity: addressed(email),
    html: `<div>${escapeHtml(intro)}</div><blockquote type="cite">${quoted.html}</blockquote>`,
    text: `${intro}\n${quoteText(quoted.text)}`,
    attachments: carried(email, quoted.embedded, false),
    answers: { id: email.id, keyword: "$answered" },
    ...threading(email),
  });
}

export async function forward(email: Email): Promise<void> {
  await ready();
  const quoted = contentOf(email);
  const lines: [string, string][] = [
    [t("from"), (email.from ?? []).map(written).join(", ")],
    [t("date"), mediumDate(email.sentAt ?? email.receivedAt)],
    [t("subject"), email.subject ?? ""],
    [t("to"), (email.to ?? []).map(written).join(", ")],
    ...(email.cc?.length ? [[t("cc"), email.cc.map(written).join(", ")] as [string, string]] : []),
  ];
  const title = `---------- ${t("forwarded_message")} ----------`;
  await begin({
    subject: prefixed("Fwd", email.subject), identity: addressed(email),
    html:
      `<div>${escapeHtml(title)}</div>` +
      lines.map(([name, value]) => `<div>${escapeHtml(name)}: ${escapeHtml(value)}</div>`).join("") +
      `<div><br></div>${quoted.html}`,
    text: `${title}\n${lines.map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${quoted.text}`,
    attachments: carried(email, quoted.embedded, true),
    answers: { id: email.id, keyword: "$forwarded" },
    references: threading(email).references,
  });
}

function quoteText(text: string): string {
  return text.trimEnd().split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`.trimEnd())).join("\n");
}

function threading(email: Email): { inReplyTo: string[]; references: string[] } {
  const id = email.messageId ?? [];
  return { inReplyTo: id, references: [...(email.references ?? email.inReplyTo ?? []), ...id].slice(-40) };
}

export async function editDraft(id: Id): Promise<void> {
  try {
    const [email] = await loadEmails([id]);
    if (!email) return;
    await ready();
    const html = email.htmlBody.some((part) => part.type === "text/html");
    const content = contentOf(email);
    const identity = identities.value.find((one) => email.from?.some((from) => sameAddress(from.email, one.email)));
    await begin({
      to: email.to ?? [], cc: email.cc ?? [], bcc: email.bcc ?? [], subject: email.subject ?? "",
      html: content.html, text: content.text, plain: !html, signed: true, stored: email.id,
      attachments: carried(email, content.embedded, true),
      ...(identity ? { identity: identity.id } : {}),
      ...(email.inReplyTo ? { inReplyTo: email.inReplyTo } : {}),
      ...(email.references ? { references: email.references } : {}),
    });
  } catch (error) {
    sayError("error_open", error);
  }
}

// Whom one writes to -------------------------------------------------------------------------------

interface Known {
  address: Address;
  weight: number;
}

const people = new Map<string, Known>();
let learnt: Promise<void> | null = null;

export function remember(addresses: Address[], weight = 3): void {
  for (const address of addresses) {
    const key = address.email.toLowerCase();
    const known = people.get(key);
    if (known) {
      known.weight += weight;
      known.address = { name: known.address.name || address.name, email: known.address.email };
    } else {
      people.set(key, { address, weight });
    }
  }
}

const FADES_MS = 60 * 86_400_000; // after so long a message counts half

/** What a message says for whom it names: much if it is new, less and less later. */
function fresh(receivedAt: string, weight: number): number {
  const age = Date.now() - Date.parse(receivedAt);
  return weight / (1 + Math.max(0, Number.isNaN(age) ? FADES_MS : age) / FADES_MS);
}

function unwanted(): Id[] {
  return ["junk", "trash"].flatMap((role) => byRole.value.get(role)?.id ?? []);
}

/** From the last messages sent and received, once. Who sends junk is nobody one writes to. */
export function learn(): Promise<void> {
  learnt ??= (async () => {
    const accountId = mailAccount.value;
    const sent = byRole.value.get("sent");
    const sort = [{ property: "receivedAt", isAscending: false }];
    const calls: Call[] = [
      ["Email/query", { accountId, filter: { inMailboxOtherThan: unwanted() }, sort, limit: 300 }, "q1"],
      ["Email/get", { accountId, "#ids": { resultOf: "q1", name: "Email/query", path: "/ids" }, properties: ["from", "receivedAt"] }, "g1"],
    ];
    if (sent) {
      calls.push(
        ["Email/query", { accountId, filter: { inMailbox: sent.id }, sort, limit: 300 }, "q2"],
        ["Email/get", { accountId, "#ids": { resultOf: "q2", name: "Email/query", path: "/ids" }, properties: ["to", "cc", "bcc", "receivedAt"] }, "g2"],
      );
    }
    const answers = await jmap().request(calls);
    for (const email of answers.maybe<GetResult<Email>>("g1")?.list ?? []) remember(email.from ?? [], fresh(email.receivedAt, 1));
    for (const email of answers.maybe<GetResult<Email>>("g2")?.list ?? []) {
      remember([...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])], fresh(email.receivedAt, 4));
    }
  })().catch(() => {
    learnt = null;
  });
  return learnt;
}

/** Whom the letters typed could mean, the likeliest first. */
export async function complete(typed: string, not: Address[]): Promise<Address[]> {
  await learn();
  const found = matching(typed, not);
  if (found.length >= 3 || typed.length < 3) return found;
  // Somebody written to long ago, or of the same server: the server knows.
  const accountId = mailAccount.value;
  const answers = await jmap()
    .request([
      ...principalCalls(typed),
      ["Email/query", {
        accountId,
        filter: { operator: "AND", conditions: [
          { inMailboxOtherThan: unwanted() }, { operator: "OR", conditions: [{ from: typed }, { to: typed }] },
        ] },
        sort: [{ property: "receivedAt", isAscending: false }], limit: 20,
      }, "q"],
      ["Email/get", {
        accountId, "#ids": { resultOf: "q", name: "Email/query", path: "/ids" }, properties: ["from", "to", "cc"],
      }, "g"],
    ])
    .catch(() => null);
  for (const { name, email } of answers?.maybe<GetResult<Principal>>("p")?.list ?? []) {
    if (email && !people.has(email.toLowerCase())) remember([{ name: name === email ? null : name, email }], 0.1);
  }
  for (const email of answers?.maybe<GetResult<Email>>("g")?.list ?? []) {
    for (const address of [...(email.from ?? []), ...(email.to ?? []), ...(email.cc ?? [])]) {
      if (!people.has(address.email.toLowerCase())) remember([address], 1);
    }
  }
  return matching(typed, not);
}

/** Those of one's own domain, where the server tells of them (RFC 9670). */
function principalCalls(typed: string): Call[] {
  const accountId = jmap().accountFor(PRINCIPALS);
  if (!accountId || !jmap().has(PRINCIPALS)) return [];
  return [
    ["Principal/query", { accountId, filter: { text: typed.trim() }, limit: 10 }, "pq"],
    ["Principal/get", {
      accountId, "#ids": { resultOf: "pq", name: "Principal/query", path: "/ids" }, properties: ["name", "email"],
    }, "p"],
  ];
}

function matching(typed: string, not: Address[]): Address[] {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return [];
  return [...people.values()]
    .filter(({ address }) => !not.some((one) => sameAddress(one.email, address.email)))
    .map((one) => {
      const name = (one.address.name ?? "").toLowerCase();
      const email = one.address.email.toLowerCase();
      const starts = email.startsWith(wanted) || name.split(/[\s,.-]+/).some((word) => word.startsWith(wanted)) || name.startsWith(wanted);
      return { ...one, score: starts ? one.weight + 1000 : email.includes(wanted) || name.includes(wanted) ? one.weight : 0 };
    })
    .filter((one) => one.score > 0)
    .sort((a, b) => b.score - a.score)
    .slice(0, 8)
    .map((one) => one.address);
}

export function knownPeople(typed: string): Address[] {
  return matching(typed, []);
}
