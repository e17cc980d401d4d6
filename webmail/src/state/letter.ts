/** A message as the server is given it, and the server's reasons not to take it in words. */

import { size, t } from "../i18n";
import type { Id, SetFailure } from "../jmap/types";
import type { Attachment } from "./attachments";
import type { Composer } from "./compose";

/** The object of Email/set (RFC 8621 section 4.6). */
export function emailOf(letter: Composer, mailboxIds: Record<Id, boolean>): Record<string, unknown> {
  const from = letter.from;
  const { html, text } = letter.content();
  const bodyValues: Record<string, unknown> = { text: { value: text } };
  let structure: Record<string, unknown> = { partId: "text", type: "text/plain" };
  const ready = letter.attachments.value.filter((one) => one.blobId);
  const used = ready.filter((one) => one.cid && html.includes(`cid:${one.cid}`));
  if (!letter.plain.value) {
    bodyValues.html = { value: documentOf(html) };
    let rich: Record<string, unknown> = { partId: "html", type: "text/html" };
    if (used.length) {
      rich = { type: "multipart/related", subParts: [rich, ...used.map((one) => part(one, "inline"))] };
    }
    structure = { type: "multipart/alternative", subParts: [structure, rich] };
  }
  // In a plain text there is no place for an image: it goes as a file.
  const files = ready.filter((one) => !one.cid || letter.plain.value);
  if (files.length) {
    structure = { type: "multipart/mixed", subParts: [structure, ...files.map((one) => part(one, "attachment"))] };
  }
  return {
    mailboxIds,
    keywords: { $draft: true, $seen: true },
    messageId: [letter.messageId],
    from: from ? [{ name: from.name || null, email: from.email }] : null,
    to: letter.to.value.length ? letter.to.value : null,
    cc: letter.cc.value.length ? letter.cc.value : null,
    bcc: letter.bcc.value.length ? letter.bcc.value : null,
    ...(from?.replyTo?.length ? { replyTo: from.replyTo } : {}),
    subject: letter.subject.value,
    ...(letter.inReplyTo ? { inReplyTo: letter.inReplyTo } : {}),
    ...(letter.references ? { references: letter.references } : {}),
    sentAt: localIso(new Date()),
    bodyStructure: structure,
    bodyValues,
  };
}

/** What RFC 8621 sections 4.6 and 7.5 have it say besides. */
export interface Refusal extends SetFailure {
  notFound?: Id[];
  invalidRecipients?: string[];
  maxRecipients?: number;
  maxSize?: number;
}

export function inWords(why: Refusal, from: string): string {
  switch (why.type) {
    case "invalidRecipients":
      return t("refused_recipients", { addresses: (why.invalidRecipients ?? []).join(", ") });
    case "tooManyRecipients":
      return t("refused_too_many", { n: why.maxRecipients ?? 0 });
    case "forbiddenFrom":
    case "forbiddenMailFrom":
      return t("refused_from", { address: from });
    case "tooLarge":
      return why.maxSize ? t("refused_size", { most: size(why.maxSize) }) : t("refused_big");
    case "overQuota":
      return t("refused_quota");
    case "blobNotFound":
      return t("attachment_has_failed");
    default:
      return why.description || t("error_send");
  }
}

function part(one: Attachment, disposition: "inline" | "attachment"): Record<string, unknown> {
  return {
    blobId: one.blobId, type: one.type, name: one.name, disposition, ...(disposition === "inline" ? { cid: one.cid } : {}),
  };
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
