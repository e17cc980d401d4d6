/**
 * What is being written, kept on this device as well: the page may be closed, the network lost or the session
 * over before the server has it. Text in the browser's store, written at once; files are kept by the server alone.
 */

import type { Address, Id } from "../jmap/types";

export interface KeptFile {
  blobId: Id;
  name: string;
  type: string;
  size: number;
  cid: string | null;
}

export interface KeptDraft {
  key: string; // of the message while it is written, on this device
  login: string;
  account: Id;
  changedAt: number; // ms since 1970
  stored: Id | null; // the version on the server that this one takes the place of
  messageId: string; // the same for all versions of a message, on every device
  to: Address[];
  cc: Address[];
  bcc: Address[];
  typed: [to: string, cc: string, bcc: string]; // what is not yet an address
  subject: string;
  identity: Id;
  plain: boolean;
  html: string;
  text: string;
  files: KeptFile[];
  inReplyTo: string[] | null;
  references: string[] | null;
  answers: { id: Id; keyword: "$answered" | "$forwarded" } | null;
  open: boolean; // it was on the screen
  send: { at: string | null } | null; // it shall be sent, not before `at`
  tries: string[]; // names of versions that may have been saved
  tried: boolean; // it may have been sent: the server is asked first
}

const PREFIX = "postillon.writing.";

/** Random letters for names; crypto.randomUUID is there only where the page came by TLS. */
export function unlikely(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

/** False: the browser keeps nothing, or has no room left. */
export function keepDraft(draft: KeptDraft): boolean {
  try {
    localStorage.setItem(PREFIX + draft.key, JSON.stringify(draft));
    return true;
  } catch {
    return false;
  }
}

export function forgetDraft(key: string): void {
  try {
    localStorage.removeItem(PREFIX + key);
  } catch {
    // Nothing was kept.
  }
}

/** Of this login, the oldest first. */
export function keptDrafts(login: string): KeptDraft[] {
  const found: KeptDraft[] = [];
  try {
    for (let n = 0; n < localStorage.length; n += 1) {
      const name = localStorage.key(n);
      if (!name?.startsWith(PREFIX)) continue;
      const draft = JSON.parse(localStorage.getItem(name) ?? "null") as KeptDraft | null;
      if (draft?.login === login) found.push(draft);
    }
  } catch {
    // A browser that keeps nothing, or something that is not ours.
  }
  return found.sort((a, b) => a.changedAt - b.changedAt);
}

/** Says to other tabs that this one writes it, until what is returned is called; null: another tab does. */
export function claim(key: string): Promise<(() => void) | null> {
  if (!navigator.locks) return Promise.resolve(() => undefined);
  return new Promise((resolve) => {
    void navigator.locks.request(PREFIX + key, { ifAvailable: true }, (lock) => {
      if (!lock) {
        resolve(null);
        return undefined;
      }
      return new Promise<void>((release) => resolve(() => release()));
    });
  });
}
