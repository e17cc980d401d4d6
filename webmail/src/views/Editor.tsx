/** The rich text editor, loaded only when somebody writes rich text. */

import Squire from "squire-rte";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { cleanForEditor } from "../lib/html";
import { htmlToText } from "../lib/text";
import { ask, say } from "../state/app";
import { blobUrl } from "../state/remote";
import type { Body, Composer } from "../state/compose";
import { ownSignature } from "../state/signature";
import { Icon, MenuButton, type IconName } from "./common";

/** Image files in a clipboard or drop. */
export function imagesOf(data: DataTransfer | null): File[] {
  return [...(data?.files ?? [])].filter((file) => /^image\/(png|jpe?g|gif|webp)$/.test(file.type));
}

/** HTML as it is sent: images of the message by their Content-ID, nothing of the editor. */
function outgoing(html: string): string {
  const paper = new DOMParser().parseFromString(`<div>${html}</div>`, "text/html");
  for (const image of paper.querySelectorAll("img[data-cid]")) {
    image.setAttribute("src", `cid:${image.getAttribute("data-cid")}`);
    image.removeAttribute("data-cid");
  }
  for (const image of paper.querySelectorAll("[data-adopted]")) image.removeAttribute("data-adopted");
  for (const image of paper.querySelectorAll("img[data-remote]")) {
    image.setAttribute("src", image.getAttribute("data-remote") ?? "");
    image.removeAttribute("data-remote");
  }
  // Text that runs from right to left says so wherever it is read.
  for (const block of paper.body.firstElementChild?.querySelectorAll("div, p, li, blockquote") ?? []) {
    if (!block.closest("[dir]") && /[\u0590-\u08ff\ufb1d-\ufefc]/.test(block.textContent ?? "")) block.setAttribute("dir", "auto");
  }
  for (const image of paper.querySelectorAll('img[src^="blob:"], img:not([src])')) image.remove();
  for (const element of paper.querySelectorAll("[data-signature]")) element.removeAttribute("data-signature");
  for (const element of paper.querySelectorAll("[class]")) {
    if (element.className !== "signature") element.removeAttribute("class");
  }
  return paper.body.firstElementChild?.innerHTML ?? "";
}

export default function Editor({ composer, touched, label }: { composer: Composer; touched: () => void; label: string }) {
  const root = useRef<HTMLDivElement>(null);
  const editor = useRef<Squire | null>(null);
  const [path, setPath] = useState("");
  // A quote with colours of its own wants the white paper that they were chosen for.
  const [coloured] = useState(() => /[\s;"'](background|color|background-color)\s*:|bgcolor=|<font/i.test(composer.html));

  useLayoutEffect(() => {
    const box = root.current!;
    const squire = new Squire(box, {
      blockTag: "DIV",
      sanitizeToDOMFragment: (html: string) => cleanForEditor(html),
      didError: (error: unknown) => console.error(error),
      tagAttributes: { a: { rel: "noopener noreferrer" } },
    });
    editor.current = squire;
    squire.setHTML(named(composer.html));
    void showImages(box, composer);
    const body: Body = {
      html: () => outgoing(squire.getHTML()),
      text: () => htmlToText(new DOMParser().parseFromString(squire.getHTML(), "text/html").body),
      focus: () => {
        squire.focus();
        squire.moveCursorToStart();
      },
      sign: (html) => {
        squire.saveUndoState();
        sign(box, html);
        adoptStyles(box);
      },
    };
    composer.body = body;
    const styles = new MutationObserver(() => {
      adoptStyles(box);
      void adoptPictures(box, composer).then((any) => any && touched());
    });
    styles.observe(box, { subtree: true, childList: true, attributes: true, attributeFilter: ["style"] });
    adoptStyles(box);
    const changed = () => touched();
    const moved = () => setPath(squire.getPath());
    squire.addEventListener("input", changed);
    squire.addEventListener("pathChange", moved);
    squire.addEventListener("select", moved);
    squire.addEventListener("cursor", moved);
    squire.setKeyHandler("Tab", null);
    squire.setKeyHandler("Shift-Tab", null);
    if (composer.focusBody) composer.body.focus();
    return () => {
      // Where something else has taken its place (a plain text, another device's version) that one stands.
      if (composer.body === body) {
        composer.html = body.html();
        composer.text = body.text();
        composer.body = null;
      }
      styles.disconnect();
      squire.destroy();
    };
  }, [composer]);

  const insertImages = async (files: File[]) => {
    const squire = editor.current;
    if (!squire) return;
    const places = files.map((file) => squire.insertImage(URL.createObjectURL(file), { alt: file.name }));
    const made = await composer.attach(files, true);
    for (const [n, one] of made.entries()) {
      if (one.blobId && one.cid) {
        places[n]?.setAttribute("data-cid", one.cid);
        continue;
      }
      places[n]?.remove();
      composer.files.remove(one.key);
      if (one.error) say(`${one.name}: ${one.error}`, { error: true, ms: 8000 });
    }
    touched();
  };
  useEffect(() => {
    const box = root.current!;
    // Before the editor sees it: a picture that was copied is uploaded, not written into the text.
    const paste = (event: ClipboardEvent) => {
      const files = [...(event.clipboardData?.files ?? [])];
      if (!files.length || event.clipboardData?.types.some((type) => type.startsWith("text/"))) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      const images = imagesOf(event.clipboardData);
      if (images.length) void insertImages(images);
      if (images.length < files.length) void composer.attach(files.filter((file) => !images.includes(file)));
    };
    box.parentElement!.addEventListener("paste", paste, true);
    return () => box.parentElement?.removeEventListener("paste", paste, true);
  }, [composer]);

  const has = (tag: string) => {
    void path;
    return editor.current?.hasFormat(tag) ?? false;
  };
  const act = (run: (squire: Squire) => unknown) => {
    const squire = editor.current;
    if (!squire) return;
    run(squire);
    squire.focus();
    setPath(`${squire.getPath()} `);
    touched();
  };
  const toggle = (tag: string, on: (squire: Squire) => unknown, off: (squire: Squire) => unknown) =>
    act((squire) => (squire.hasFormat(tag) ? off(squire) : on(squire)));

  const link = async () => {
    const squire = editor.current;
    if (!squire) return;
    if (squire.hasFormat("a")) {
      act((one) => one.removeLink());
      return;
    }
    const range = squire.getSelection();
    const url = await ask({ title: t("link"), text: "", yes: t("insert"), input: { label: t("link_address"), value: "https://" } });
    if (!url) return;
    if (!/^(https?:\/\/|mailto:|tel:)\S+$/i.test(url)) {
      say(t("link_bad"), { error: true });
      return;
    }
    squire.setSelection(range);
    act((one) => one.makeLink(url, { target: "_blank" }));
  };

  const Tool = (props: { icon: IconName; label: string; on?: boolean; keys?: string; run: () => void }) => (
    <button
      type="button" class="icon-button" aria-label={props.label} title={props.keys ? `${props.label} (${props.keys})` : props.label}
      aria-pressed={props.on} onMouseDown={(event) => event.preventDefault()} onClick={props.run}
    >
      <Icon name={props.icon} />
    </button>
  );
  return (
    <div class="editor">
      <div class="editor-tools" role="toolbar" aria-label={t("formatting")}>
        <Tool icon="bold" label={t("bold")} keys="Ctrl+B" on={has("B")} run={() => toggle("B", (one) => one.bold(), (one) => one.removeBold())} />
        <Tool icon="italic" label={t("italic")} keys="Ctrl+I" on={has("I")} run={() => toggle("I", (one) => one.italic(), (one) => one.removeItalic())} />
        <Tool icon="underline" label={t("underline")} keys="Ctrl+U" on={has("U")} run={() => toggle("U", (one) => one.underline(), (one) => one.removeUnderline())} />
        <Tool icon="strike" label={t("strike")} on={has("S")} run={() => toggle("S", (one) => one.strikethrough(), (one) => one.removeStrikethrough())} />
        <Tool icon="bullets" label={t("bullets")} on={has("UL")} run={() => toggle("UL", (one) => one.makeUnorderedList(), (one) => one.removeList())} />
        <Tool icon="numbers" label={t("numbers")} on={has("OL")} run={() => toggle("OL", (one) => one.makeOrderedList(), (one) => one.removeList())} />
        <Tool icon="quote" label={t("quote")} on={has("BLOCKQUOTE")} run={() => toggle("BLOCKQUOTE", (one) => one.increaseQuoteLevel(), (one) => one.decreaseQuoteLevel())} />
        <Tool icon="link" label={t("link")} keys="Ctrl+K" on={has("A")} run={() => void link()} />
        <label class="icon-button" title={t("insert_image")}>
          <Icon name="image" />
          <input
            type="file" accept="image/png,image/jpeg,image/gif,image/webp" multiple class="sr-only" aria-label={t("insert_image")}
            onChange={(event) => {
              void insertImages([...(event.currentTarget.files ?? [])]);
              event.currentTarget.value = "";
            }}
          />
        </label>
        <MenuButton icon="more" label={t("formatting_more")} items={[
          { label: t("size_small"), run: () => act((one) => one.setFontSize("13px")) },
          { label: t("size_normal"), run: () => act((one) => one.setFontSize(null)) },
          { label: t("size_large"), run: () => act((one) => one.setFontSize("20px")) },
          null,
          { label: t("colour_none"), run: () => act((one) => one.setTextColor(null)) },
          { label: t("colour_red"), run: () => act((one) => one.setTextColor("#b3261e")) },
          { label: t("colour_blue"), run: () => act((one) => one.setTextColor("#17588f")) },
          { label: t("colour_green"), run: () => act((one) => one.setTextColor("#1f7a4d")) },
          null,
          { label: t("clear_format"), icon: "close", run: () => act((one) => one.removeAllFormatting()) },
        ]} />
      </div>
      <div
        ref={root} class={`editor-text ${coloured ? "own-paper" : ""}`} role="textbox" aria-multiline="true" aria-label={label} spellcheck
        onKeyDown={(event) => {
          if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
            event.preventDefault();
            void link();
          }
        }}
        onDrop={(event) => {
          const files = imagesOf(event.dataTransfer);
          if (!files.length || files.length !== event.dataTransfer?.files.length) return;
          event.preventDefault();
          event.stopPropagation();
          void insertImages(files);
        }}
      />
    </div>
  );
}

/** Its own images by `data-cid`: an address with a scheme that no page knows would be taken out. */
function named(html: string): string {
  if (!html.includes("cid:")) return html;
  const paper = new DOMParser().parseFromString(html, "text/html");
  for (const image of paper.querySelectorAll('img[src^="cid:"]')) {
    image.setAttribute("data-cid", (image.getAttribute("src") ?? "").slice("cid:".length));
    image.removeAttribute("src");
  }
  return paper.body.innerHTML;
}

/** Another signature, in the place of the one that stands there; else before what is quoted, or at the end. */
function sign(box: HTMLElement, html: string): void {
  const made = cleanForEditor(html);
  const old = ownSignature(box);
  if (old) {
    old.replaceWith(made);
    return;
  }
  if (!html) return;
  const line = document.createElement("div");
  line.append(document.createElement("br"));
  const quote = [...box.children].find((one) => one.matches("blockquote[type=cite]") || one.textContent?.startsWith("----------"));
  const before = quote?.matches("blockquote") ? (quote.previousElementSibling ?? quote) : quote;
  if (before) before.before(made, line);
  else box.append(line, made);
}

/** Pictures of a quoted message or of a draft, fetched to be looked at. */
async function showImages(box: HTMLElement, composer: Composer): Promise<void> {
  for (const image of box.querySelectorAll<HTMLImageElement>("img[data-cid]")) {
    const part = composer.attachments.value.find((one) => one.cid === image.dataset.cid);
    if (!part?.blobId) {
      image.remove();
      continue;
    }
    void blobUrl(part.blobId, part.name, part.type).then((url) => (image.src = url), () => image.remove());
  }
}

/** Pictures that came written into pasted text, which many programs do not show: they go as those that one inserts. */
async function adoptPictures(box: HTMLElement, composer: Composer): Promise<boolean> {
  const found = [...box.querySelectorAll<HTMLImageElement>('img[src^="data:image/"]:not([data-adopted])')];
  if (!found.length) return false;
  const files: File[] = [];
  for (const image of found) {
    image.setAttribute("data-adopted", "");
    const [head = "", data = ""] = image.src.split(",", 2);
    const type = /^data:(image\/(png|jpe?g|gif|webp));base64$/i.exec(head)?.[1];
    if (!type) continue;
    const octets = Uint8Array.from(atob(decodeURIComponent(data)), (letter) => letter.charCodeAt(0));
    files.push(new File([octets], `${image.alt || "image"}.${type.split("/")[1]!.replace("jpeg", "jpg")}`, { type }));
  }
  const places = found.filter((image) => /^data:image\/(png|jpe?g|gif|webp);base64,/i.test(image.src));
  const made = await composer.attach(files, true);
  for (const [n, one] of made.entries()) {
    if (one.blobId && one.cid) places[n]?.setAttribute("data-cid", one.cid);
    else composer.files.remove(one.key); // it stays as it came
  }
  return made.length > 0;
}

/** The page's policy takes no style attributes from markup; what the editor has set is set anew, as code. */
function adoptStyles(box: HTMLElement): void {
  for (const element of box.querySelectorAll<HTMLElement>("[style]")) {
    if (!element.style.length) element.style.cssText = element.getAttribute("style") ?? "";
  }
}
