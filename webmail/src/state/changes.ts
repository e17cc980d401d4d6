/**
 * What was done to messages without a network: shown at once, kept on this device, told to the server when it
 * is there again. Until then it is laid over all that is known of these messages.
 */

import { signal } from "@preact/signals";
import type { EmailSummary, Id } from "../jmap/types";
import { store, stored } from "../lib/dom";

export type Patch = Record<string, unknown>;

export interface Waiting {
  login: string;
  account: Id;
  patches: [Id, Patch][];
}

const KEY = "changes";

export const waitingChanges = signal<Waiting[]>(stored<Waiting[]>(KEY, []));

export function queueChange(change: Waiting): void {
  keep([...stored<Waiting[]>(KEY, []), change]); // another tab may have added some
}

/** One after the other, each kept until it is told. tell: throws where there is still no network. */
export async function tellChanges(login: string, tell: (change: Waiting) => Promise<void>): Promise<number> {
  let told = 0;
  const work = async () => {
    for (;;) {
      const list = stored<Waiting[]>(KEY, []);
      const at = list.findIndex((one) => one.login === login);
      if (at < 0) break;
      await tell(list[at]!);
      told += 1;
      const now = stored<Waiting[]>(KEY, []);
      keep(now.filter((_, n) => n !== at));
    }
  };
  if (navigator.locks) await navigator.locks.request("postillon.changes", work);
  else await work();
  return told;
}

function keep(list: Waiting[]): void {
  store(KEY, list.length ? list : undefined);
  waitingChanges.value = list;
}

export function applied(email: EmailSummary, patch: Patch): void {
  for (const [path, value] of Object.entries(patch)) {
    const [field, key] = path.split("/") as ["keywords" | "mailboxIds", string | undefined];
    if (key === undefined) {
      email[field] = { ...(value as Record<string, boolean>) };
    } else {
      email[field] = { ...email[field] };
      if (value === null) delete email[field][unescape(key)];
      else email[field][unescape(key)] = true;
    }
  }
}

export function unescape(key: string): string {
  return key.replaceAll("~1", "/").replaceAll("~0", "~");
}

/** Makes of what the server knows what it will know. True: something waits for this message. */
export function overlay(email: EmailSummary): boolean {
  let any = false;
  for (const { patches } of waitingChanges.value) {
    for (const [id, patch] of patches) {
      if (id !== email.id) continue;
      applied(email, patch);
      any = true;
    }
  }
  return any;
}

window.addEventListener("storage", (event) => {
  if (event.key === `postillon.${KEY}`) waitingChanges.value = stored<Waiting[]>(KEY, []);
});
