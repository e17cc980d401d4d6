/** Signatures as they stand in a text. */

import type { Identity } from "../jmap/types";
import { escapeHtml, htmlToText } from "../lib/text";

export function signatureHtml(identity: Identity): string {
  const html = identity.htmlSignature || identity.textSignature.split("\n").map((line) => escapeHtml(line)).join("<br>");
  return html.trim() ? `<div class="signature" data-signature="1">-- <br>${html}</div>` : "";
}

export function signatureText(identity: Identity): string {
  let text = identity.textSignature;
  // A document of its own: nothing in it is fetched or run.
  if (!text && identity.htmlSignature) text = htmlToText(new DOMParser().parseFromString(identity.htmlSignature, "text/html").body);
  return text.trim() ? `-- \n${text}` : "";
}

/** The signature of the writer in a text, not one that is quoted. */
export function ownSignature(box: ParentNode): Element | null {
  return box.querySelector("[data-signature]")
    ?? [...box.querySelectorAll(".signature")].find((one) => !one.closest("blockquote")) ?? null;
}

/** Another signature in a plain text: in the place of the last one, or before what is quoted. */
export function signedText(text: string, before: string, next: string): string {
  if (before && text.includes(before)) return text.replace(before, () => next).replace(/\n{3,}$/, "\n\n");
  if (!next) return text;
  const quoted = /^(.*:\n>|-{10} )/m.exec(text);
  if (!quoted) return `${text.trimEnd()}\n\n${next}`;
  return `${text.slice(0, quoted.index).trimEnd()}\n\n${next}\n\n${text.slice(quoted.index)}`;
}
