/** Plain text as HTML: quotes that fold, links that can be followed, signatures set apart. */

const LINK = /\b((?:https?:\/\/|www\.)[^\s<>"'\u201c\u201d]+|mailto:[^\s<>"']+)|([\p{L}\p{N}._%+-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+)/giu;

export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);
}

/** A piece of a line with its links; what closes a sentence does not belong to the address. */
export function linked(text: string): string {
  let result = "";
  let last = 0;
  for (const match of text.matchAll(LINK)) {
    let found = match[0];
    const tail = /[.,;:!?'\u2019]+$/.exec(found);
    if (tail) found = found.slice(0, -tail[0].length);
    while (found.endsWith(")") && found.split("(").length < found.split(")").length) found = found.slice(0, -1);
    while (found.endsWith("]") && found.split("[").length < found.split("]").length) found = found.slice(0, -1);
    const url = match[2] ? `mailto:${found}` : found.toLowerCase().startsWith("www.") ? `https://${found}` : found;
    result += escapeHtml(text.slice(last, match.index));
    result += `<a href="${escapeHtml(url)}">${escapeHtml(found)}</a>`;
    last = match.index + found.length;
  }
  return result + escapeHtml(text.slice(last));
}

/** A plain text as one writes on it: quotes are quotes again, and what follows "-- " the signature. */
export function plainToRich(text: string): string {
  const lines = text.split("\n").map(parse);
  const sign = lines.findIndex((line) => line.depth === 0 && /^-- ?$/.test(line.text));
  let html = "";
  let depth = 0;
  let signed = false;
  lines.forEach((line, n) => {
    for (; depth < line.depth; depth += 1) html += '<blockquote type="cite">';
    for (; depth > line.depth; depth -= 1) html += "</blockquote>";
    if (n === sign) html += '<div class="signature" data-signature="1">';
    if (n === sign) signed = true;
    else if (signed && !line.text.trim()) {
      html += "</div>";
      signed = false;
    }
    html += `<div>${linked(line.text) || "<br>"}</div>`;
  });
  for (; depth > 0; depth -= 1) html += "</blockquote>";
  return signed ? `${html}</div>` : html;
}

interface Line {
  depth: number;
  text: string;
}

function parse(line: string): Line {
  const quoted = /^((?:>\s?)+)/.exec(line);
  if (!quoted) return { depth: 0, text: line };
  return { depth: quoted[1]!.replace(/[^>]/g, "").length, text: line.slice(quoted[1]!.length) };
}

/** format=flowed (RFC 3676): a space at the end of a line says that the paragraph goes on. */
function flowed(lines: Line[]): Line[] {
  const result: Line[] = [];
  let open = false;
  for (const line of lines) {
    const text = line.text.startsWith(" ") && line.depth === 0 ? line.text.slice(1) : line.text;
    const last = result.at(-1);
    if (open && last && last.depth === line.depth && line.text !== "-- ") last.text += text;
    else result.push({ depth: line.depth, text });
    open = line.text.endsWith(" ") && line.text !== "-- ";
  }
  return result;
}

/**
 * The HTML of a plain text. Everything in it comes from here or is escaped. The part that only quotes an
 * earlier message at the end is folded; `summary` is the text of the handle.
 */
export function textToHtml(text: string, options: { flowed: boolean; summary: string }): string {
  let lines = text.replace(/\r\n?/g, "\n").replace(/\n+$/, "").split("\n").map(parse);
  if (options.flowed) lines = flowed(lines);
  const fold = foldFrom(lines);
  const shown = render(fold < 0 ? lines : lines.slice(0, fold));
  if (fold < 0) return shown;
  return (
    `${shown}<details class="quoted"><summary>${escapeHtml(options.summary)}</summary>` +
    `${render(lines.slice(fold))}</details>`
  );
}

/** Where the quote at the end begins, with the line that introduces it; -1 if there is none to fold. */
function foldFrom(lines: Line[]): number {
  let start = lines.length;
  let quoted = 0;
  while (start > 0) {
    const line = lines[start - 1]!;
    if (line.depth > 0) quoted += 1;
    else if (line.text.trim()) break;
    start -= 1;
  }
  if (quoted < 3) return -1;
  const intro = lines.slice(Math.max(0, start - 2), start);
  const at = intro.findIndex((line) => /[:：]\s*$/.test(line.text) || /^-{2,}.*-{2,}$/.test(line.text.trim()));
  if (at >= 0) start = Math.max(0, start - 2) + at;
  else if (/[:：]\s*$/.test(lines[start - 1]?.text ?? "")) start -= 1;
  return start > 0 ? start : -1;
}

function render(lines: Line[]): string {
  let html = "";
  let depth = 0;
  let signature = false;
  for (const line of lines) {
    while (depth < line.depth && depth < 12) {
      html += "<blockquote>";
      depth += 1;
    }
    while (depth > Math.min(line.depth, 12)) {
      html += "</blockquote>";
      depth -= 1;
    }
    if (line.depth === 0 && line.text === "-- " && !signature) {
      html += '<div class="signature">';
      signature = true;
    }
    html += `<div class="line">${linked(line.text) || "<br>"}</div>`;
  }
  while (depth-- > 0) html += "</blockquote>";
  return signature ? `${html}</div>` : html;
}

/** HTML as plain text, for quoting in a plain reply and for the text form of what is written. */
export function htmlToText(root: Node): string {
  let out = "";
  const block = /^(P|DIV|UL|OL|LI|TABLE|TR|H[1-6]|BLOCKQUOTE|PRE|HR|SECTION|ARTICLE|HEADER|FOOTER|DL|DT|DD)$/;
  const newline = () => {
    if (out && !out.endsWith("\n")) out += "\n";
  };
  const walk = (node: Node, list: { ordered: boolean; n: number } | null, pre: boolean): void => {
    for (const child of Array.from(node.childNodes)) {
      if (child.nodeType === Node.TEXT_NODE) {
        const text = child.nodeValue ?? "";
        const piece = pre ? text : text.replace(/[ \t\r\n\f]+/g, " ");
        out += !pre && (out === "" || out.endsWith("\n")) ? piece.replace(/^ /, "") : piece;
        continue;
      }
      if (!(child instanceof Element) && child.nodeType !== Node.ELEMENT_NODE) continue;
      const element = child as Element;
      const tag = element.tagName;
      if (/^(STYLE|SCRIPT|HEAD|TITLE|TEMPLATE)$/.test(tag)) continue;
      if (tag === "BR") {
        out += "\n";
        continue;
      }
      if (tag === "IMG") {
        const words = element.getAttribute("alt");
        if (words) out += `[${words}]`;
        continue;
      }
      if (tag === "HR") {
        newline();
        out += "----------\n";
        continue;
      }
      const isBlock = block.test(tag);
      if (isBlock) newline();
      if (tag === "LI") out += list?.ordered ? `${list.n++}. ` : "- ";
      if (tag === "BLOCKQUOTE") {
        const before = out;
        out = "";
        walk(element, null, pre);
        const inner = out.replace(/\n+$/, "");
        out = `${before}${inner.split("\n").map((line) => (line.startsWith(">") ? `>${line}` : `> ${line}`)).join("\n")}\n`;
        continue;
      }
      const href = tag === "A" ? (element.getAttribute("href") ?? "") : "";
      const start = out.length;
      walk(
        element,
        tag === "OL" ? { ordered: true, n: 1 } : tag === "UL" ? { ordered: false, n: 1 } : list,
        pre || tag === "PRE",
      );
      const text = out.slice(start);
      if (/^https?:/.test(href) && !text.includes(href.replace(/\/$/, ""))) out += ` <${href}>`;
      if (tag === "TD" || tag === "TH") out += " ";
      if (isBlock) newline();
      if (/^(P|H[1-6]|TABLE|UL|OL)$/.test(tag) && !out.endsWith("\n\n") && out) out += "\n";
    }
  };
  walk(root, null, false);
  return out.replace(/\u00a0/g, " ").replace(/(?<!^--)[ \t]+$/gm, "").replace(/\n{3,}/g, "\n\n").replace(/^\n+|\n+$/g, "");
}
