/** Whom one writes to: learnt from past mail and, where the server tells of them, those of one's own domain. */

import { PRINCIPALS, type Call } from "../jmap/client";
import type { Address, Email, GetResult, Id, Principal } from "../jmap/types";
import { sameAddress } from "../lib/address";
import { client, jmap, mailAccount } from "./app";
import { byRole } from "./mail";

interface Known {
  address: Address;
  weight: number;
}

const people = new Map<string, Known>();
let learnt: Promise<void> | null = null;

export function remember(addresses: Address[], weight = 3): void {
  for (const address of addresses) {
    const key = address.email.toLowerCase();
    const known = people.get(key);
    if (known) {
      known.weight += weight;
      known.address = { name: known.address.name || address.name, email: known.address.email };
    } else {
      people.set(key, { address, weight });
    }
  }
}

const FADES_MS = 60 * 86_400_000; // after so long a message counts half

/** What a message says for whom it names: much if it is new, less and less later. */
function fresh(receivedAt: string, weight: number): number {
  const age = Date.now() - Date.parse(receivedAt);
  return weight / (1 + Math.max(0, Number.isNaN(age) ? FADES_MS : age) / FADES_MS);
}

function unwanted(): Id[] {
  return ["junk", "trash"].flatMap((role) => byRole.value.get(role)?.id ?? []);
}

/** From the last messages sent and received, once. Who sends junk is nobody one writes to. */
export function learn(): Promise<void> {
  learnt ??= (async () => {
    const accountId = mailAccount.value;
    const sent = byRole.value.get("sent");
    const sort = [{ property: "receivedAt", isAscending: false }];
    const calls: Call[] = [
      ["Email/query", { accountId, filter: { inMailboxOtherThan: unwanted() }, sort, limit: 300 }, "q1"],
      ["Email/get", { accountId, "#ids": { resultOf: "q1", name: "Email/query", path: "/ids" }, properties: ["from", "receivedAt"] }, "g1"],
    ];
    if (sent) {
      calls.push(
        ["Email/query", { accountId, filter: { inMailbox: sent.id }, sort, limit: 300 }, "q2"],
        ["Email/get", { accountId, "#ids": { resultOf: "q2", name: "Email/query", path: "/ids" }, properties: ["to", "cc", "bcc", "receivedAt"] }, "g2"],
      );
    }
    const answers = await jmap().request(calls);
    for (const email of answers.maybe<GetResult<Email>>("g1")?.list ?? []) remember(email.from ?? [], fresh(email.receivedAt, 1));
    for (const email of answers.maybe<GetResult<Email>>("g2")?.list ?? []) {
      remember([...(email.to ?? []), ...(email.cc ?? []), ...(email.bcc ?? [])], fresh(email.receivedAt, 4));
    }
  })().catch(() => {
    learnt = null;
  });
  return learnt;
}

/** Whom the letters typed could mean, the likeliest first. */
export async function complete(typed: string, not: Address[]): Promise<Address[]> {
  await learn();
  const found = matching(typed, not);
  if (found.length >= 3 || typed.length < 3) return found;
  // Somebody written to long ago, or of the same server: the server knows.
  const accountId = mailAccount.value;
  const answers = await jmap()
    .request([
      ...principalCalls(typed),
      ["Email/query", {
        accountId,
        filter: { operator: "AND", conditions: [
          { inMailboxOtherThan: unwanted() }, { operator: "OR", conditions: [{ from: typed }, { to: typed }] },
        ] },
        sort: [{ property: "receivedAt", isAscending: false }], limit: 20,
      }, "q"],
      ["Email/get", {
        accountId, "#ids": { resultOf: "q", name: "Email/query", path: "/ids" }, properties: ["from", "to", "cc"],
      }, "g"],
    ])
    .catch(() => null);
  for (const { name, email } of answers?.maybe<GetResult<Principal>>("p")?.list ?? []) {
    if (email && !people.has(email.toLowerCase())) remember([{ name: name === email ? null : name, email }], 0.1);
  }
  for (const email of answers?.maybe<GetResult<Email>>("g")?.list ?? []) {
    for (const address of [...(email.from ?? []), ...(email.to ?? []), ...(email.cc ?? [])]) {
      if (!people.has(address.email.toLowerCase())) remember([address], 1);
    }
  }
  return matching(typed, not);
}

/** Those of one's own domain, where the server tells of them (RFC 9670). */
function principalCalls(typed: string): Call[] {
  const accountId = jmap().accountFor(PRINCIPALS);
  if (!accountId || !jmap().has(PRINCIPALS)) return [];
  return [
    ["Principal/query", { accountId, filter: { text: typed.trim() }, limit: 10 }, "pq"],
    ["Principal/get", {
      accountId, "#ids": { resultOf: "pq", name: "Principal/query", path: "/ids" }, properties: ["name", "email"],
    }, "p"],
  ];
}

/** How well the letters, in lower case, mean somebody: 2 where a word begins so, 1 where one contains them, 0 not at all. */
function meant({ name, email }: Address, wanted: string): number {
  const words = (name ?? "").toLowerCase();
  const address = email.toLowerCase();
  if ([address, words, ...words.split(/[\s,.-]+/)].some((word) => word.startsWith(wanted))) return 2;
  return address.includes(wanted) || words.includes(wanted) ? 1 : 0;
}

/** Of a list that was made for fewer letters: those whom the letters typed now still mean. */
export function still(typed: string, list: Address[]): Address[] {
  const wanted = typed.trim().toLowerCase();
  return wanted ? list.filter((address) => meant(address, wanted)) : [];
}

function matching(typed: string, not: Address[]): Address[] {
  const wanted = typed.trim().toLowerCase();
  if (!wanted) return [];
  return [...people.values()]
    .filter(({ address }) => !not.some((one) => sameAddress(one.email, address.email)))
    .map((one) => ({ ...one, meant: meant(one.address, wanted) }))
    .filter((one) => one.meant > 0)
    .sort((a, b) => b.meant - a.meant || b.weight - a.weight)
    .slice(0, 8)
    .map((one) => one.address);
}

export function knownPeople(typed: string): Address[] {
  return matching(typed, []);
}

client.subscribe((now) => {
  if (now) return;
  people.clear();
  learnt = null;
});
