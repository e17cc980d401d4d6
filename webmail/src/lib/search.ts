/** What is typed into the search field, as a filter of JMAP (RFC 8621 section 4.4.1). */

import type { Filter, FilterCondition, Mailbox } from "../jmap/types";

export const OPERATORS = [
  "from:", "to:", "cc:", "subject:", "body:", "in:", "has:attachment", "is:unread", "is:read", "is:flagged",
  "is:answered", "before:", "after:", "larger:", "smaller:",
] as const;

interface Word {
  negated: boolean;
  operator: string;
  value: string;
}

/** Words, "quoted phrases", operator:value and operator:"a phrase", each with a - before it to exclude. */
export function words(text: string): Word[] {
  const found: Word[] = [];
  const pattern = /(-?)(?:([a-z]+):)?(?:"([^"]*)"?|(\S+))/giu;
  for (const match of text.matchAll(pattern)) {
    const operator = (match[2] ?? "").toLowerCase();
    const value = match[3] ?? match[4] ?? "";
    const known = operator === "" || OPERATORS.some((one) => one.startsWith(`${operator}:`));
    if (known) found.push({ negated: match[1] === "-", operator, value });
    else found.push({ negated: match[1] === "-", operator: "", value: `${operator}:${value}` });
  }
  return found.filter((word) => word.value);
}

/** A day as 2026-11-25, 25.11.2026, 25/11/2026, or 3d, 2w, 1m, 1y ago; null for anything else. */
export function day(text: string, now = new Date()): Date | null {
  const ago = /^(\d{1,4})([dwmy])$/i.exec(text);
  if (ago) {
    const n = Number(ago[1]);
    const date = new Date(now.getFullYear(), now.getMonth(), now.getDate());
    const unit = ago[2]!.toLowerCase();
    if (unit === "d") date.setDate(date.getDate() - n);
    if (unit === "w") date.setDate(date.getDate() - 7 * n);
    if (unit === "m") date.setMonth(date.getMonth() - n);
    if (unit === "y") date.setFullYear(date.getFullYear() - n);
    return date;
  }
  const iso = /^(\d{4})-(\d{1,2})(?:-(\d{1,2}))?$/.exec(text);
  const written = /^(\d{1,2})[./](\d{1,2})[./](\d{4})$/.exec(text);
  const year = iso ? Number(iso[1]) : written ? Number(written[3]) : /^\d{4}$/.test(text) ? Number(text) : 0;
  const month = iso ? Number(iso[2]) : written ? Number(written[2]) : 1;
  const date = iso ? Number(iso[3] ?? 1) : written ? Number(written[1]) : 1;
  if (!year || month < 1 || month > 12 || date < 1 || date > 31) return null;
  return new Date(year, month - 1, date);
}

function octets(text: string): number | null {
  const found = /^(\d+(?:\.\d+)?)(k|kb|m|mb|g|gb)?$/i.exec(text);
  if (!found) return null;
  const factor = { k: 1e3, m: 1e6, g: 1e9 }[(found[2] ?? "").toLowerCase()[0] ?? ""] ?? 1;
  return Math.round(Number(found[1]) * factor);
}

function condition(word: Word, mailboxes: Mailbox[], path: (mailbox: Mailbox) => string): FilterCondition | null {
  const value = word.value;
  switch (word.operator) {
    case "":
      return { text: value };
    case "from":
    case "to":
    case "cc":
    case "subject":
    case "body":
      return { [word.operator]: value };
    case "has":
      return value.startsWith("attach") ? { hasAttachment: true } : { text: `has:${value}` };
    case "is": {
      if (value === "unread") return { notKeyword: "$seen" };
      if (value === "read") return { hasKeyword: "$seen" };
      if (value === "flagged" || value === "starred") return { hasKeyword: "$flagged" };
      if (value === "answered") return { hasKeyword: "$answered" };
      if (value === "draft") return { hasKeyword: "$draft" };
      return { text: `is:${value}` };
    }
    case "in": {
      const wanted = value.toLowerCase();
      const found =
        mailboxes.find((one) => one.role === wanted || path(one).toLowerCase() === wanted) ??
        mailboxes.find((one) => path(one).toLowerCase().startsWith(wanted));
      return found ? { inMailbox: found.id } : null;
    }
    case "before":
    case "after": {
      const date = day(value);
      return date ? { [word.operator]: date.toISOString().replace(/\.\d+Z$/, "Z") } : null;
    }
    case "larger": {
      const size = octets(value);
      return size === null ? null : { minSize: size };
    }
    case "smaller": {
      const size = octets(value);
      return size === null ? null : { maxSize: size };
    }
    default:
      return { text: value };
  }
}

/** Everything must hold. Junk and trash are left out unless `in:` names a mailbox. */
export function filterOf(text: string, mailboxes: Mailbox[], path: (mailbox: Mailbox) => string): Filter {
  const conditions: Filter[] = [];
  let placed = false;
  for (const word of words(text)) {
    const found = condition(word, mailboxes, path);
    if (!found) continue;
    placed ||= word.operator === "in" && !word.negated;
    conditions.push(word.negated ? { operator: "NOT", conditions: [found] } : found);
  }
  if (!placed) {
    const hidden = mailboxes.filter((one) => one.role === "junk" || one.role === "trash").map((one) => one.id);
    if (hidden.length) conditions.push({ inMailboxOtherThan: hidden });
  }
  return conditions.length === 1 ? conditions[0]! : { operator: "AND", conditions };
}
