/** How a message begins: an empty one, an answer, a forwarded one, a draft; and those that an earlier page left. */

import { mediumDate, t } from "../i18n";
import type { Address, BodyPart, Email, Id } from "../jmap/types";
import { nameOf, plausible, sameAddress, unique, written } from "../lib/address";
import { escapeHtml, htmlToText, linked } from "../lib/text";
import { client, preferences, say, sayError } from "./app";
import { attached, type Attachment } from "./attachments";
import { Composer, composer, identities, loadIdentities, outbox, resumeAll, show, waiting, type Start } from "./compose";
import { claim, keptDrafts, type KeptDraft } from "./kept";
import { refresh } from "./list";
import { loadDraft } from "./mail";

let quotable: typeof import("../lib/html").quotable;

/** What every text begins with: the names to write as, and the sanitiser, whose code comes when it is wanted. */
async function ready(): Promise<void> {
  const code = import("../lib/html");
  if (!identities.value.length) await loadIdentities().catch((error) => sayError("error_identities", error));
  quotable = (await code).quotable;
}

export async function compose(start: Start): Promise<void> {
  await ready();
  await show(new Composer(start));
}

/** A mailto: link (RFC 6068). */
export function composeTo(url: string): void {
  const [addresses = "", query = ""] = url.replace(/^mailto:/i, "").split("?");
  const fields = new URLSearchParams(query.replaceAll("+", "%2B"));
  const listOf = (text: string): Address[] =>
    text.split(",").map((one) => one.trim()).filter(Boolean).map((email) => ({ name: null, email }));
  const text = fields.get("body") ?? "";
  void compose({
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
  whole: boolean; // false: it is longer than what is shown, or cannot be shown
}

/** own: a draft, in which everything stays; in what is quoted the signature is none of ours. */
function contentOf(email: Email, own = false): Quoted {
  const textOf = (part: BodyPart) => (part.partId ? (email.bodyValues[part.partId]?.value ?? "") : "");
  const isHtml = email.htmlBody.some((part) => part.type === "text/html");
  const embedded: string[] = [];
  let whole = !Object.values(email.bodyValues).some((value) => value.isTruncated);
  const html = email.htmlBody
    .map((part) => {
      if (part.type !== "text/html") return part.type.startsWith("text/") ? plainHtml(textOf(part)) : "";
      try {
        const found = quotable(textOf(part), own);
        embedded.push(...found.embedded);
        return found.html;
      } catch (error) {
        if (own) throw error; // better not opened than saved without it
        whole = false;
        return "";
      }
    })
    .filter(Boolean)
    .join("<br>");
  const plain = email.textBody.filter((part) => part.type === "text/plain").map(textOf).join("\n");
  // A document of its own: nothing in it is fetched or run.
  const text = plain || (isHtml ? htmlToText(new DOMParser().parseFromString(html || email.htmlBody.map(textOf).join("<br>"), "text/html").body) : "");
  return { html: html || plainHtml(text), text: text.replace(/\r\n/g, "\n"), embedded, whole };
}

function plainHtml(text: string): string {
  return text.replace(/\r\n/g, "\n").split("\n").map((line) => `<div>${linked(line) || "<br>"}</div>`).join("");
}

/** Images that stand in a quoted text go with it; other files only where they are forwarded. */
function carried(email: Email, embedded: string[], all: boolean): Attachment[] {
  // An image between two texts is part of the body, and yet a file (RFC 8621 section 4.1.4).
  const between = all ? email.htmlBody.filter((one) => !one.type.startsWith("text/")) : [];
  return [...between, ...email.attachments]
    .filter((one) => one.blobId && ((one.cid && embedded.includes(one.cid)) || all))
    .map((one) => attached({
      name: one.name ?? t("unnamed"), type: one.type, size: one.size, blobId: one.blobId!,
      cid: one.cid && embedded.includes(one.cid) ? one.cid : null,
    }));
}

/** Where the list of a message takes answers (RFC 2369 section 3.4); null: it is from none, or takes none. */
export function listAddress(email: Email): Address | null {
  const urls = (email["header:List-Post:asURLs"] as string[] | null) ?? [];
  const found = urls.find((url) => /^mailto:/i.test(url));
  const address = found ? decodeURIComponent(found.slice("mailto:".length).split("?")[0] ?? "") : "";
  return plausible(address) ? { name: null, email: address } : null;
}

/** only: whom instead of those whom the message names. */
export async function reply(email: Email, all: boolean, only?: Address): Promise<void> {
  await ready();
  const own = email.from?.length ? email.from.every(mine) : false;
  const back = only ? [only] : own ? (email.to ?? []) : email.replyTo?.length ? email.replyTo : (email.from ?? []);
  const to = unique(all && !own ? [...back, ...(email.to ?? []).filter((one) => !mine(one))] : back);
  const cc = all ? unique((email.cc ?? []).filter((one) => !mine(one) && !to.some((two) => sameAddress(one.email, two.email)))) : [];
  const quoted = contentOf(email);
  const who = email.from?.[0];
  const intro = t("wrote", { date: mediumDate(email.sentAt ?? email.receivedAt), name: who ? nameOf(who) : "?" });
  await compose({
    to, cc, subject: prefixed("Re", email.subject), identity: addressed(email),
    html: `<div>${escapeHtml(intro)}</div><blockquote type="cite" dir="auto">${quoted.html}</blockquote>`,
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
  await compose({
    subject: prefixed("Fwd", email.subject), identity: addressed(email),
    html:
      `<div>${escapeHtml(title)}</div>` +
      lines.map(([name, value]) => `<div>${escapeHtml(name)}: ${escapeHtml(value)}</div>`).join("") +
      (quoted.whole ? `<div><br></div>${quoted.html}` : ""),
    text: `${title}\n${lines.map(([name, value]) => `${name}: ${value}`).join("\n")}\n\n${quoted.whole ? quoted.text : ""}`,
    // What is longer than what is shown goes as it came, as a file.
    attachments: quoted.whole ? carried(email, quoted.embedded, true) : [attached({
      name: `${email.subject?.trim() || t("unnamed")}.eml`, type: "message/rfc822", size: email.size, blobId: email.blobId, cid: null,
    })],
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

/** What a draft on the server begins with. Throws when it is gone. */
export async function startOf(id: Id): Promise<Start> {
  await ready();
  const email = await loadDraft(id);
  const html = email.htmlBody.some((part) => part.type === "text/html");
  const content = contentOf(email, true);
  const from = email.from?.[0];
  const mineAre = identities.value.filter((one) => from && sameAddress(from.email, one.email));
  const identity = mineAre.find((one) => one.name === (from?.name ?? "")) ?? mineAre[0];
  return {
    to: email.to ?? [], cc: email.cc ?? [], bcc: email.bcc ?? [], subject: email.subject ?? "",
    html: content.html, text: content.text, plain: !html, signed: true, stored: email.id,
    attachments: carried(email, content.embedded, true),
    ...(identity ? { identity: identity.id } : {}),
    ...(email.messageId?.[0] ? { messageId: email.messageId[0] } : {}),
    ...(email.inReplyTo ? { inReplyTo: email.inReplyTo } : {}),
    ...(email.references ? { references: email.references } : {}),
  };
}

export async function editDraft(id: Id): Promise<void> {
  if (composer.value?.stored === id) return;
  try {
    await compose(await startOf(id));
  } catch (error) {
    sayError("error_open", error);
    void refresh();
  }
}

// What an earlier page left ------------------------------------------------------------------------

/** Kept on this device and not on the server: what was on the screen is again, the rest is saved and sent. */
export async function revive(): Promise<void> {
  const login = client.value?.session.username ?? "";
  const here = new Set([...waiting, ...(composer.value ? [composer.value] : [])].map((one) => one.key));
  const found: KeptDraft[] = [];
  for (const kept of keptDrafts(login)) {
    if (here.has(kept.key)) continue;
    const release = await claim(kept.key); // another tab writes it
    release?.();
    if (release) found.push(kept);
  }
  if (found.length) {
    await ready();
    const last = found.filter((kept) => kept.open && !kept.send).at(-1);
    for (const kept of found) {
      const made = Composer.revive(kept, beginning(kept));
      if (kept === last && !composer.value) {
        await show(made);
        say(t("draft_revived"), { ms: 8000 });
      } else {
        waiting.add(made);
      }
    }
    outbox.value = [...waiting].filter((one) => one.waits).length;
  }
  await resumeAll();
}

function beginning(kept: KeptDraft): Start {
  const { html, embedded } = quotable(kept.html, true);
  return {
    to: kept.to, cc: kept.cc, bcc: kept.bcc, typed: kept.typed, subject: kept.subject, identity: kept.identity,
    plain: kept.plain, html, text: kept.text, signed: true, messageId: kept.messageId,
    attachments: kept.files.map((file) => attached({ ...file, cid: file.cid && embedded.includes(file.cid) ? file.cid : null })),
    ...(kept.stored ? { stored: kept.stored } : {}),
    ...(kept.inReplyTo ? { inReplyTo: kept.inReplyTo } : {}),
    ...(kept.references ? { references: kept.references } : {}),
    ...(kept.answers ? { answers: kept.answers } : {}),
  };
}
