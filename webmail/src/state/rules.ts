/** Rules for arriving mail: kept by the server, tried on and applied to what is there already. */

import { computed, signal } from "@preact/signals";
import { size as sizeText, t } from "../i18n";
import type { Key } from "../i18n/en";
import { RULES } from "../jmap/client";
import { inboxOf, sorted } from "../jmap/first";
import type { Email, GetResult, Id, Mailbox, Rule, RuleCondition, SetResult } from "../jmap/types";
import { jmap, mailAccount, say, sayError } from "./app";
import { mailboxes, nameOfMailbox } from "./mail";

const LOOKED_AT = 5_000; // messages of the inbox that a rule is tried on while it is written

export const rules = signal<Rule[] | null>(null);
export type Draft = Omit<Rule, "id" | "sortOrder">;

const account = () => jmap().accountFor(RULES);
const inOrder = (list: Rule[]) => [...list].sort((a, b) => a.sortOrder - b.sortOrder || a.id.length - b.id.length || a.id.localeCompare(b.id));

/** Rules are the reader's own, also while somebody else's mail is shown. */
const apart = signal<Mailbox[]>([]);
export const ownMailboxes = computed(() => (mailAccount.value === account() ? mailboxes.value : apart.value));
export const ownInbox = computed(() => inboxOf(ownMailboxes.value));

export function ownPath(mailbox: Mailbox): string {
  const parent = ownMailboxes.value.find((one) => one.id === mailbox.parentId);
  return parent ? `${ownPath(parent)}/${nameOfMailbox(mailbox)}` : nameOfMailbox(mailbox);
}

export async function loadOwnMailboxes(): Promise<void> {
  const list = sorted((await jmap().call<GetResult<Mailbox>>("Mailbox/get", { accountId: account(), ids: null })).list);
  if (mailAccount.peek() === account()) mailboxes.value = list;
  else apart.value = list;
}

export async function loadRules(): Promise<void> {
  if (mailAccount.peek() !== account()) await loadOwnMailboxes();
  const found = await jmap().call<GetResult<Rule>>("Rule/get", { accountId: account(), ids: null });
  rules.value = inOrder(found.list);
}

async function set(changes: Record<string, unknown>): Promise<SetResult<Rule>> {
  const done = await jmap().call<SetResult<Rule>>("Rule/set", { accountId: account(), ...changes });
  const refused = Object.values({ ...done.notCreated, ...done.notUpdated, ...done.notDestroyed })[0];
  if (refused) throw new Error(refused.description ?? refused.type);
  return done;
}

/** Its id. Throws with the words of the server where it refuses. */
export async function saveRule(id: Id | null, draft: Draft): Promise<Id> {
  const done = await set(id ? { update: { [id]: draft } } : { create: { new: draft } });
  await loadRules();
  return id ?? done.created!.new!.id;
}

export async function deleteRule(rule: Rule): Promise<void> {
  const { id, sortOrder, ...draft } = rule;
  rules.value = rules.value?.filter((one) => one.id !== id) ?? null;
  try {
    await set({ destroy: [id] });
  } catch (error) {
    sayError("error_save", error);
  }
  await loadRules();
  say(t("rule_deleted", { name: rule.name }), {
    action: { label: t("undo"), run: () => void set({ create: { new: { ...draft, sortOrder } } }).then(loadRules, (error) => sayError("error_save", error)) },
  });
}

export async function enableRule(rule: Rule, isEnabled: boolean): Promise<void> {
  rules.value = rules.value?.map((one) => (one.id === rule.id ? { ...one, isEnabled } : one)) ?? null;
  try {
    await set({ update: { [rule.id]: { isEnabled } } });
  } catch (error) {
    sayError("error_save", error);
    await loadRules();
  }
}

/** Puts a rule at a place, from 0. */
export async function moveRule(id: Id, to: number): Promise<void> {
  const list = [...(rules.value ?? [])];
  const from = list.findIndex((one) => one.id === id);
  if (from < 0 || to < 0 || to >= list.length || from === to) return;
  list.splice(to, 0, ...list.splice(from, 1));
  const update: Record<Id, { sortOrder: number }> = {};
  rules.value = list.map((one, n) => {
    if (one.sortOrder !== n + 1) update[one.id] = { sortOrder: n + 1 };
    return { ...one, sortOrder: n + 1 };
  });
  try {
    await set({ update });
  } catch (error) {
    sayError("error_save", error);
    await loadRules();
  }
}

// What is there already ----------------------------------------------------------------------------

export interface Count {
  matched: number;
  examined: number;
  done: boolean; // nothing more will be looked at
}

interface Piece {
  examined: number;
  matched: Id[] | number;
  changed?: number;
  position: string | null;
}

/** How many messages of a mailbox hold for the conditions, told as it is found. */
export async function tryRule(
  mailboxId: Id, rule: Pick<Rule, "conditions" | "matchAll">, told: (count: Count) => void, signal: AbortSignal,
): Promise<void> {
  const wanted = { conditions: rule.conditions, matchAll: rule.matchAll };
  const count = { matched: 0, examined: 0, done: false };
  let position: string | null = null;
  do {
    const piece: Piece = await jmap().call<Piece>("Rule/match", { accountId: account(), mailboxId, rule: wanted, position });
    if (signal.aborted) return;
    count.matched += (piece.matched as Id[]).length;
    count.examined += piece.examined;
    position = piece.position;
    count.done = position === null || count.examined >= LOOKED_AT;
    told({ ...count });
  } while (!count.done);
}

/** Does what a rule says with what is there, and says how many messages that has changed. */
export async function applyRule(mailboxId: Id, id: Id): Promise<void> {
  let changed = 0;
  let examined = 0;
  let position: string | null = null;
  do {
    const piece: Piece = await jmap().call<Piece>("Rule/apply", { accountId: account(), mailboxId, ids: [id], position });
    changed += piece.changed ?? 0;
    examined += piece.examined;
    position = piece.position;
    if (position !== null) say(t("rule_applying", { n: examined }), { ms: 60_000 });
  } while (position !== null);
  say(t("rule_applied", { n: changed }));
}

// In words -----------------------------------------------------------------------------------------

export const NEW: Draft = {
  name: "", isEnabled: true, matchAll: true, conditions: [{ type: "from", comparison: "contains", value: "" }],
  fileInto: null, fileIntoRole: null, markSeen: false, markFlagged: false, addKeywords: [], forwardTo: [], stop: true,
};

/** A rule about messages like this one: of its list, else of its sender. */
export function draftFrom(email: Email): Draft {
  const list = String(email["header:List-Id:asText"] ?? "");
  const id = /<([^<>]+)>/.exec(list)?.[1] ?? "";
  const sender = email.from?.[0];
  const condition: RuleCondition = id ? { type: "list", comparison: "is", value: id } : { type: "from", comparison: "is", value: sender?.email ?? "" };
  const name = (id && list.replace(/\s*<[^>]*>\s*$/, "").replaceAll('"', "").trim()) || sender?.name || "";
  return { ...NEW, name, conditions: [condition] };
}

export function conditionText(one: RuleCondition): string {
  const type = one.type === "header" ? (one.header ?? "") : t(`rule_${one.type}` as Key);
  const comparison = t(`rule_${one.type === "attachment" ? "attachment_" : ""}${one.comparison}` as Key);
  if (one.type === "attachment") return `${type} ${comparison}`;
  if (one.type === "size") return `${type} ${comparison} ${sizeText(Number(one.value))}`;
  return t("rule_said", { type, comparison, value: String(one.value ?? "") });
}

/** The mailbox it moves to; undefined: it does not move; null: there is none any more. */
export function targetOf(rule: Draft): string | null | undefined {
  if (!rule.fileInto && !rule.fileIntoRole) return undefined;
  const found = ownMailboxes.value.find((one) => (rule.fileInto ? one.id === rule.fileInto : one.role === rule.fileIntoRole));
  return found ? nameOfMailbox(found) : null;
}

export function actionTexts(rule: Draft): string[] {
  const target = targetOf(rule);
  return [
    target ? t("rule_moves", { name: target }) : "",
    rule.markSeen ? t("rule_reads") : "",
    rule.markFlagged ? t("rule_stars") : "",
    rule.addKeywords.length ? t("rule_tags", { names: rule.addKeywords.join(", ") }) : "",
    rule.forwardTo.length ? t("rule_forwards", { addresses: rule.forwardTo.join(", ") }) : "",
    rule.stop ? t("rule_stops") : "",
  ].filter(Boolean);
}
