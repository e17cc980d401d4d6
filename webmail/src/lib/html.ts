/**
 * HTML of mail. It is hostile until shown otherwise: DOMPurify takes out what could run or send, and what is
 * left is only ever laid into a frame whose own policy lets no script run and nothing be fetched
 * (access/webmail/web.py). Every image is therefore fetched by us, or not at all.
 */

import DOMPurify, { type Config } from "dompurify";

const ALLOWED_URL = /^(?:https?:|mailto:|tel:|#)/i;
const MAX_NODES = 60_000; // a message with more is shown as text
const MAX_DEPTH = 600;

const READING: Config = {
  USE_PROFILES: { html: true },
  ADD_TAGS: ["center", "font"],
  ADD_ATTR: ["background", "bgcolor", "target"],
  FORBID_TAGS: [
    "form", "input", "button", "select", "textarea", "option", "optgroup", "fieldset", "datalist", "output",
    "dialog", "audio", "video", "source", "track", "picture", "map", "area", "base", "link", "meta", "iframe",
    "frame", "frameset", "object", "embed", "applet", "slot", "template", "portal", "progress", "meter",
  ],
  FORBID_ATTR: [
    "srcset", "ping", "action", "formaction", "poster", "autofocus", "contenteditable", "popover", "popovertarget",
    "popovertargetaction", "srcdoc", "download", "usemap", "accesskey", "tabindex", "name", "id",
  ],
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  // Of every attribute, addresses or not: what has a scheme must have one of these (see DOMPurify).
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|tel|cid):|data:image\/(?:png|jpe?g|gif|webp|bmp);|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
  ADD_DATA_URI_TAGS: ["img"],
  RETURN_DOM_FRAGMENT: true,
  WHOLE_DOCUMENT: false,
  FORCE_BODY: true,
  SANITIZE_NAMED_PROPS: true,
};

export interface Cleaned {
  fragment: DocumentFragment;
  /** Addresses of images that somebody else's server would have to be asked for. */
  remote: string[];
  /** Content-IDs of images that the message carries itself. */
  embedded: string[];
  /** Whether the message sets colours, and so wants the white paper it was written for. */
  coloured: boolean;
}

const REMOTE_URL = /url\(\s*(?:"([^"]*)"|'([^']*)'|([^)\s]*))\s*\)/gi;

/** Throws RangeError for HTML that is too big or too deep to be shown. */
export function clean(html: string): Cleaned {
  const remote = new Set<string>();
  const embedded = new Set<string>();
  let coloured = false;
  const fragment = DOMPurify.sanitize(html, READING) as unknown as DocumentFragment;
  measure(fragment);
  for (const element of fragment.querySelectorAll<HTMLElement>("*")) {
    const tag = element.localName;
    if (tag === "style") {
      element.textContent = safeCss(element.textContent ?? "", remote);
      if (/color|background/i.test(element.textContent)) coloured = true;
      continue;
    }
    const style = element.getAttribute("style");
    if (style !== null) {
      element.setAttribute("style", safeCss(style, remote));
      if (/(^|[;\s])(color|background)/i.test(style)) coloured = true;
    }
    if (element.hasAttribute("bgcolor") || element.hasAttribute("color")) coloured = true;
    const background = element.getAttribute("background");
    if (background !== null) {
      element.removeAttribute("background");
      if (/^https?:/i.test(background.trim())) {
        remote.add(background.trim());
        element.setAttribute("data-background", background.trim());
      }
      coloured = true;
    }
    if (tag === "img") {
      const source = (element.getAttribute("src") ?? "").trim();
      if (/^cid:/i.test(source)) {
        embedded.add(decodeCid(source));
        element.setAttribute("data-cid", decodeCid(source));
        element.removeAttribute("src");
      } else if (/^(https?:)?\/\//i.test(source)) {
        const url = source.startsWith("//") ? `https:${source}` : source;
        remote.add(url);
        element.setAttribute("data-remote", url);
        element.removeAttribute("src");
      } else if (!/^data:image\//i.test(source)) {
        element.removeAttribute("src");
      }
    } else {
      element.removeAttribute("src");
    }
    if (tag === "a") link(element);
    else element.removeAttribute("href");
  }
  const ground = bodyStyle(html, remote);
  if (ground) {
    // The body of the message becomes a box of its own: ours stays as it is.
    const box = document.implementation.createHTMLDocument("").createElement("div");
    box.setAttribute("style", `${ground};padding:8px`);
    box.append(...fragment.childNodes);
    fragment.append(box);
    if (/color|background/i.test(ground)) coloured = true;
  }
  return { fragment, remote: [...remote], embedded: [...embedded], coloured };
}

/** What the message's body element says of colours and fonts, which a fragment has no place for. */
function bodyStyle(html: string, remote: Set<string>): string {
  const tag = /<body\b([^>]{0,4000})>/i.exec(html)?.[1];
  if (!tag) return "";
  const element = new DOMParser().parseFromString(`<div ${tag}></div>`, "text/html").body.firstElementChild;
  const given: string[] = [];
  const ground = element?.getAttribute("bgcolor") ?? "";
  const ink = element?.getAttribute("text") ?? "";
  if (/^#?[\w]{3,20}$/.test(ground)) given.push(`background-color:${ground}`);
  if (/^#?[\w]{3,20}$/.test(ink)) given.push(`color:${ink}`);
  const style = element?.getAttribute("style");
  if (style) given.push(safeCss(style, remote).replace(/(^|;)\s*(margin|width|height|min-width|min-height|overflow[^:]*|position|display)[^:;]*:[^;]*/gi, ""));
  return given.join(";");
}

function link(element: HTMLElement): void {
  const href = (element.getAttribute("href") ?? "").trim();
  if (!ALLOWED_URL.test(href)) {
    element.removeAttribute("href");
    return;
  }
  if (href.startsWith("#")) {
    element.removeAttribute("href"); // ids are taken out, so it leads nowhere
    return;
  }
  element.setAttribute("target", "_blank");
  element.setAttribute("rel", "noopener noreferrer nofollow");
  element.setAttribute("title", href);
}

function decodeCid(source: string): string {
  const text = source.slice(4);
  try {
    return decodeURIComponent(text).replace(/^<|>$/g, "");
  } catch {
    return text;
  }
}

function measure(root: Node): void {
  let count = 0;
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_ELEMENT);
  let depth = 0;
  let node: Node | null = walker.currentNode;
  while (node) {
    if (++count > MAX_NODES || depth > MAX_DEPTH) throw new RangeError("too big to be shown");
    if (walker.firstChild()) {
      depth += 1;
    } else {
      while (!walker.nextSibling()) {
        if (!walker.parentNode()) return;
        depth -= 1;
      }
    }
    node = walker.currentNode;
  }
}

/**
 * CSS without what fetches, what leaves the message's own flow, and what browsers of old ran. The frame's
 * policy fetches nothing anyway; this keeps the list of remote images true.
 */
export function safeCss(css: string, remote: Set<string>): string {
  const plain = css.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\\([0-9a-f]{1,6})\s?|\\([^\n])/gi, (_, hex: string, other: string) => {
    if (!hex) return other ?? "";
    const code = parseInt(hex, 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code <= 0xdfff) ? String.fromCodePoint(code) : "";
  });
  return plain
    .replace(/@import[^;]*(;|$)/gi, "")
    .replace(/@font-face\s*\{[^}]*\}/gi, "")
    .replace(REMOTE_URL, (_, one: string, two: string, three: string) => {
      const url = (one ?? two ?? three ?? "").trim();
      if (/^https?:/i.test(url)) remote.add(url);
      return /^data:image\/(png|jpe?g|gif|webp);/i.test(url) ? `url("${url.replace(/["\\\n]/g, "")}")` : "none";
    })
    .replace(/(image-set|cross-fade|image|element|paint|expression|src)\s*\(/gi, "none-$1(")
    .replace(/(-moz-binding|behavior)\s*:/gi, "x-none:")
    .replace(/position\s*:\s*(fixed|sticky)/gi, "position:static")
    .replace(/</g, "");
}

const WRITING: Config = {
  ...READING,
  FORBID_TAGS: [...(READING.FORBID_TAGS ?? []), "style"],
  ADD_ATTR: ["bgcolor", "target", "data-cid", "data-remote", "data-signature"],
  ALLOWED_URI_REGEXP: /^(?:(?:https?|mailto|tel|blob):|data:image\/(?:png|jpe?g|gif|webp|bmp);|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
};

/**
 * For the editor: a fragment whose style attributes are set through the object model, which the page's
 * policy allows; style attributes written into markup it does not.
 */
export function cleanForEditor(html: string): DocumentFragment {
  const fragment = DOMPurify.sanitize(html, WRITING) as unknown as DocumentFragment;
  for (const element of fragment.querySelectorAll<HTMLElement>("[style]")) {
    const css = safeCss(element.getAttribute("style") ?? "", new Set());
    element.removeAttribute("style");
    element.setAttribute("data-style", css);
  }
  const adopted = document.importNode(fragment, true);
  for (const element of adopted.querySelectorAll<HTMLElement>("[data-style]")) {
    element.style.cssText = element.getAttribute("data-style") ?? "";
    element.removeAttribute("data-style");
  }
  return adopted;
}

/**
 * The same for a message that is quoted: its remote images stay out, its own are named by data-cid. Of a draft
 * of one's own everything stays; its remote images are not fetched, only named by data-remote.
 */
export function quotable(html: string, own = false): { html: string; embedded: string[] } {
  const cleaned = clean(html);
  for (const style of cleaned.fragment.querySelectorAll("style")) style.remove();
  for (const image of own ? [] : cleaned.fragment.querySelectorAll("img[data-remote]")) {
    image.replaceWith(image.getAttribute("alt") ?? "");
  }
  const signatures = [...cleaned.fragment.querySelectorAll(".signature")];
  if (!own) for (const one of signatures) one.classList.remove("signature");
  else signatures.find((one) => !one.closest("blockquote"))?.setAttribute("data-signature", "1");
  const box = document.implementation.createHTMLDocument("").createElement("div");
  box.append(cleaned.fragment);
  return { html: box.innerHTML, embedded: cleaned.embedded };
}
