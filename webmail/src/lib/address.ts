/** Addresses as people write and read them. */

import type { Address } from "../jmap/types";

export function nameOf(address: Address): string {
  return address.name?.trim() || address.email;
}

/** What fits into a row beside others: the first name, or what stands before the @. */
export function shortName(address: Address): string {
  const name = address.name?.trim();
  if (!name) return address.email.split("@")[0] ?? address.email;
  if (name.includes(",")) return name.split(",")[1]?.trim().split(/\s+/)[0] || name;
  return name.split(/\s+/)[0] ?? name;
}

export function initials(address: Address | undefined): string {
  if (!address) return "?";
  const words = nameOf(address).replace(/[^\p{L}\p{N}\s]/gu, " ").trim().split(/\s+/);
  const first = words[0]?.[0] ?? "?";
  const second = words.length > 1 ? (words.at(-1)?.[0] ?? "") : "";
  return (first + second).toLocaleUpperCase();
}

/** One of eight hues, always the same for an address. */
export function hueOf(address: Address | undefined): number {
  let hash = 0;
  for (const letter of (address?.email ?? "").toLowerCase()) hash = (hash * 31 + letter.charCodeAt(0)) | 0;
  return Math.abs(hash) % 8;
}

export function written(address: Address): string {
  const name = address.name?.trim();
  if (!name) return address.email;
  const quoted = /[",.;:<>@()[\]\\]/.test(name) ? `"${name.replace(/(["\\])/g, "\\$1")}"` : name;
  return `${quoted} <${address.email}>`;
}

const PLAUSIBLE = /^[^\s@<>",;]+@[^\s@<>",;]+$/u;

export function plausible(email: string): boolean {
  return PLAUSIBLE.test(email);
}

/**
 * A list as typed or pasted: commas, semicolons, tabs and lines part, quotes and brackets hold together; addresses
 * alone are parted by blanks as well. "Friends: ada@…, bob@…;" is a group (RFC 5322 section 3.4).
 */
export function parseAddresses(text: string): { found: Address[]; rest: string } {
  const pieces: string[] = [];
  let piece = "";
  let quoted = false;
  let bracket = false;
  for (const letter of text) {
    if (letter === '"') quoted = !quoted;
    if (letter === "<" && !quoted) bracket = true;
    if (letter === ">" && !quoted) bracket = false;
    if (!quoted && !bracket && /[,;\n\t]/.test(letter)) {
      pieces.push(piece);
      piece = "";
    } else {
      piece += letter;
    }
  }
  pieces.push(piece);
  const found: Address[] = [];
  const unknown: string[] = [];
  for (const item of pieces.flatMap(apart)) {
    const parts = /^(.*?)\s*<([^<>]+)>$/.exec(item);
    const email = (parts ? parts[2]! : item).trim();
    const name = parts ? parts[1]!.trim().replace(/^"|"$/g, "").replace(/\\(.)/g, "$1") : "";
    if (plausible(email)) found.push({ name: name || null, email });
    else unknown.push(item);
  }
  return { found, rest: unknown.join(", ") };
}

function apart(piece: string): string[] {
  const item = piece.trim().replace(/^mailto:/i, "").replace(/^[^"<>@:]+:\s*/, "");
  const words = item.split(/\s+/).filter(Boolean);
  return words.length > 1 && words.every(plausible) ? words : item ? [item] : [];
}

export function sameAddress(a: string, b: string): boolean {
  return a.trim().toLowerCase() === b.trim().toLowerCase();
}

export function unique(addresses: Address[]): Address[] {
  const seen = new Set<string>();
  return addresses.filter((address) => {
    const key = address.email.toLowerCase();
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}
