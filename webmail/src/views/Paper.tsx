import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { signal } from "@preact/signals";
import { t } from "../i18n";
import type { BodyPart, Email } from "../jmap/types";
import { clean, type Cleaned } from "../lib/html";
import { textToHtml } from "../lib/text";
import { dark } from "../state/app";
import { composeTo } from "../state/answering";
import { blobUrl, imageUrl } from "../state/remote";

declare const __PAPER__: string; // set at build: the page of a message, its content in its address
const PAPER = __PAPER__;
// So that a message waits for nothing but its text.
setTimeout(() => {
  if (!keepSpare()) void fetch(PAPER).catch(() => undefined);
}, 0);

const TALLEST = 60_000; // px of a message; a higher one scrolls in its frame
const SPARE_MS = 250; // after one was taken, when its message is shown
const AT_ONCE = 6; // remote images that are fetched together

/** The address under the pointer, shown before it is opened. */
export const hovered = signal("");

export interface Found {
  remote: number;
  html: boolean;
  truncated: boolean;
}

type Movable = Element & { moveBefore?: (node: Node, before: Node | null) => void };
let spare: HTMLIFrameElement | null = null;

/** Laid out of sight: the style of a spare one keeps it from eyes, keys and screen readers. */
function sheet(): HTMLIFrameElement {
  const frame = document.createElement("iframe");
  frame.className = "paper-spare";
  frame.title = t("message_text");
  frame.setAttribute("scrolling", "no");
  frame.setAttribute("sandbox", "allow-same-origin allow-popups allow-popups-to-escape-sandbox allow-modals");
  frame.src = PAPER;
  return frame;
}

/** Keep one sheet at hand: a frame takes longer to load than a message to come. Needs a browser that moves it whole. */
function keepSpare(): boolean {
  if (!(document.body as Movable).moveBefore) return false;
  if (spare) return true;
  const made = (spare = sheet());
  made.onload = () => {
    if (loaded(made)) return;
    made.remove(); // it could not be had: the next one is loaded where it is needed
    spare = null;
  };
  document.body.append(made);
  return true;
}

/** A sheet in its place, which may have been loaded already. */
function take(slot: HTMLElement): HTMLIFrameElement {
  const frame = spare ?? sheet();
  spare = null;
  try {
    if (frame.isConnected) (slot as Movable).moveBefore!(frame, null);
  } catch {
    // It is loaded anew where it is put below.
  }
  if (frame.parentNode !== slot) slot.append(frame);
  frame.className = "paper";
  setTimeout(keepSpare, SPARE_MS);
  return frame;
}

function loaded(frame: HTMLIFrameElement): boolean {
  const paper = frame.contentDocument;
  return paper?.readyState === "complete" && paper.URL.endsWith(PAPER);
}

/** The message's texts on paper of its own: a frame in which nothing runs and that can ask for nothing. */
export function Paper(props: { email: Email; images: boolean; found: (found: Found) => void }) {
  const slot = useRef<HTMLDivElement>(null);
  const frame = useRef<HTMLIFrameElement | null>(null);
  const [paper, setPaper] = useState<Document | null>(null); // another one when the browser has loaded the frame anew
  const { email, images } = props;

  useLayoutEffect(() => {
    const taken = (frame.current = take(slot.current!));
    const open = () => setPaper(loaded(taken) ? taken.contentDocument : null);
    taken.onload = open;
    open();
    return () => taken.remove();
  }, []);

  useLayoutEffect(() => {
    if (!paper) return;
    const content = lay(paper, email);
    props.found({ remote: content.remote.length, html: content.html, truncated: content.truncated });
    paper.documentElement.classList.toggle("themed", !content.coloured);
    const stop = fit(frame.current!, paper);
    void embed(paper, email);
    const listeners = new AbortController();
    listen(frame.current!, paper, listeners.signal);
    return () => {
      stop();
      listeners.abort();
      hovered.value = "";
    };
  }, [paper, email.id]);

  useEffect(() => {
    if (paper && images) void fetchImages(paper, email);
  }, [paper, images, email.id]);

  useEffect(() => {
    paper?.documentElement.classList.toggle("dark", dark.value);
  }, [paper, dark.value]);

  return <div class="paper-slot" ref={slot} />;
}

interface Laid {
  remote: string[];
  html: boolean;
  coloured: boolean;
  truncated: boolean;
}

function valueOf(email: Email, part: BodyPart): { value: string; isTruncated: boolean } {
  return (part.partId ? email.bodyValues[part.partId] : undefined) ?? { value: "", isTruncated: false };
}

function lay(paper: Document, email: Email): Laid {
  paper.body.textContent = "";
  const laid: Laid = { remote: [], html: false, coloured: false, truncated: false };
  for (const part of email.htmlBody) {
    const box = paper.createElement("div");
    box.className = "flow";
    const body = valueOf(email, part);
    laid.truncated ||= body.isTruncated;
    let cleaned: Cleaned | null = null;
    if (part.type === "text/html") {
      try {
        cleaned = clean(body.value);
      } catch {
        // Too big or too deep: its text, without any markup.
        const plain = email.textBody.find((one) => one.type === "text/plain");
        box.innerHTML = textToHtml(plain ? valueOf(email, plain).value : body.value.replace(/<[^>]*>/g, " "), {
          flowed: false, summary: t("quoted"),
        });
      }
    } else if (part.type.startsWith("image/")) {
      const image = paper.createElement("img");
      image.dataset.blob = part.blobId ?? "";
      image.dataset.type = part.type;
      image.alt = part.name ?? "";
      box.append(image);
    } else {
      box.innerHTML = textToHtml(body.value, { flowed: flowedOf(email), summary: t("quoted") });
      for (const link of box.querySelectorAll("a")) {
        link.target = "_blank";
        link.rel = "noopener noreferrer nofollow";
        link.title = link.getAttribute("href") ?? "";
      }
    }
    if (cleaned) {
      laid.html = true;
      laid.coloured ||= cleaned.coloured;
      laid.remote.push(...cleaned.remote);
      box.append(paper.importNode(cleaned.fragment, true));
      foldQuote(paper, box);
    }
    paper.body.append(box);
  }
  if (!email.htmlBody.length || !paper.body.textContent?.trim() && !paper.querySelector("img")) {
    const none = paper.createElement("p");
    none.className = "signature";
    none.textContent = t("no_text");
    paper.body.append(none);
  }
  return laid;
}

function flowedOf(email: Email): boolean {
  return /format=["']?flowed/i.test(String(email["header:Content-Type:asRaw"] ?? ""));
}

/** The quote at the end of an HTML reply, folded as in plain text. */
function foldQuote(paper: Document, box: HTMLElement): void {
  const quotes = [...box.querySelectorAll<HTMLElement>("blockquote[type=cite], .gmail_quote, .yahoo_quoted, .moz-cite-prefix + blockquote")];
  const first = quotes.find((one) => !quotes.some((two) => two !== one && two.contains(one)));
  if (!first || first.closest("details")) return;
  const range = paper.createRange();
  range.selectNodeContents(box);
  range.setEndBefore(first);
  if (!range.toString().trim()) return;
  range.selectNodeContents(box);
  range.setStartAfter(first);
  if (range.toString().trim().length > 400) return; // answers below or between: nothing to fold
  const fold = paper.createElement("details");
  fold.className = "quoted";
  const handle = paper.createElement("summary");
  handle.textContent = t("quoted");
  first.replaceWith(fold);
  fold.append(handle, first);
}

/** The frame is as high as what is in it. */
function fit(frame: HTMLIFrameElement, paper: Document): () => void {
  let width = 0;
  const measure = () => {
    const body = paper.body;
    if (!body) return;
    const available = frame.clientWidth;
    if (available !== width) {
      width = available;
      // What was made for a wide screen is made smaller rather than cut off.
      for (const box of body.querySelectorAll<HTMLElement>(".flow")) {
        box.style.zoom = "";
        const wide = box.scrollWidth;
        if (wide > available + 4) box.style.zoom = String(Math.max(0.55, (available - 4) / wide));
      }
    }
    const height = Math.ceil(body.getBoundingClientRect().height) + 2;
    frame.style.height = `${Math.min(Math.max(height, 24), TALLEST)}px`;
    paper.documentElement.style.overflowY = height > TALLEST ? "auto" : "";
  };
  const watch = new ResizeObserver(measure);
  watch.observe(paper.body);
  watch.observe(frame);
  measure();
  return () => watch.disconnect();
}

function listen(frame: HTMLIFrameElement, paper: Document, signal: AbortSignal): void {
  const linkOf = (event: Event) => (event.target as Element | null)?.closest?.("a[href]") ?? null;
  paper.addEventListener("click", (event) => {
    const link = linkOf(event);
    const href = link?.getAttribute("href") ?? "";
    if (/^mailto:/i.test(href)) {
      event.preventDefault();
      composeTo(href);
    }
  }, { signal });
  const over = (event: Event) => (hovered.value = linkOf(event)?.getAttribute("href") ?? "");
  paper.addEventListener("mouseover", over, { signal });
  paper.addEventListener("focusin", over, { signal });
  paper.addEventListener("mouseleave", () => (hovered.value = ""), { signal });
  // Keys pressed while the text has the focus are for the page.
  paper.addEventListener("keydown", (event) => {
    const copy = new KeyboardEvent("keydown", {
      key: event.key, code: event.code, shiftKey: event.shiftKey, ctrlKey: event.ctrlKey, metaKey: event.metaKey,
      altKey: event.altKey, bubbles: true, cancelable: true,
    });
    if (!frame.dispatchEvent(copy)) event.preventDefault();
  }, { signal });
}

const RASTER = /^image\/(png|jpe?g|gif|webp|avif|bmp)$/i;

/** Images that the message carries. */
async function embed(paper: Document, email: Email): Promise<void> {
  for (const image of paper.querySelectorAll<HTMLImageElement>("img[data-cid]")) {
    const part = email.attachments.find((one) => one.cid === image.dataset.cid);
    if (!part?.blobId || !RASTER.test(part.type)) continue;
    void blobUrl(part.blobId, part.name ?? "image", part.type).then((url) => (image.src = url), () => undefined);
  }
  for (const image of paper.querySelectorAll<HTMLImageElement>("img[data-blob]")) {
    const type = image.dataset.type ?? "";
    if (RASTER.test(type)) void blobUrl(image.dataset.blob ?? "", "image", type).then((url) => (image.src = url), () => undefined);
  }
}

/** Images of elsewhere, through the server, a few at a time, each once however often it is used. */
async function fetchImages(paper: Document, _email: Email): Promise<void> {
  const places = new Map<string, HTMLElement[]>();
  for (const element of paper.querySelectorAll<HTMLElement>("[data-remote], [data-background]")) {
    const url = element.dataset.remote ?? element.dataset.background ?? "";
    places.set(url, [...(places.get(url) ?? []), element]);
  }
  const waiting = [...places];
  const work = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [url, elements] = next;
      const found = await imageUrl(url).catch(() => "");
      for (const element of elements) {
        if (!found) element.classList.add("failed");
        else if (element instanceof (paper.defaultView as unknown as { HTMLImageElement: typeof HTMLImageElement }).HTMLImageElement) element.src = found;
        else element.style.backgroundImage = `url("${found}")`;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}
