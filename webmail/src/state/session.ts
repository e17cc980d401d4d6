/** Coming in and going out. */

import { effect, signal } from "@preact/signals";
import { JmapClient, SignedOut, Unreachable, type Credentials } from "../jmap/client";
import { OWN_SESSION } from "../jmap/first";
import type { Mailbox, Session } from "../jmap/types";
import { store, stored } from "../lib/dom";
import { client, go, otherAccount, reachable, sayError } from "./app";
import { OwnCredentials, SignInError } from "./auth";
import { composer } from "./compose";
import { forgetAll, loadMailboxes, mailboxes } from "./mail";

export { OWN_SESSION } from "../jmap/first";
export let credentials: Credentials | null = null;

export async function enter(url: string, given: Credentials): Promise<void> {
  const made = await JmapClient.connect(url, given);
  credentials = given;
  if (url === OWN_SESSION) store("session", made.session);
  await loadMailboxes(made);
  begin(made);
}

/** Which login has to sign in again because its session has ended by itself; "" otherwise. */
export const ended = signal("");

function begin(made: JmapClient): void {
  ended.value = "";
  made.reached = (is) => (reachable.value = is);
  made.ended = () => {
    if (client.value !== made) return;
    ended.value = made.session.username;
    client.value = null;
  };
  client.value = made;
}

/** On load: with the cookie of an earlier time; without a network, with what was kept. */
export async function resume(): Promise<void> {
  if (new URLSearchParams(location.search).has("server")) {
    client.value = null;
    return;
  }
  try {
    const found = await OwnCredentials.resume();
    if (!found) client.value = null;
    else if (!again(found)) await enter(OWN_SESSION, found);
  } catch (error) {
    const kept = stored<Session | null>("session", null);
    const away = error instanceof Unreachable || (error instanceof SignInError && error.reason === "network");
    if (kept && away) {
      const offline = new OwnCredentials();
      credentials = offline;
      mailboxes.value = stored<Mailbox[]>("mailboxes", []);
      begin(JmapClient.offline(OWN_SESSION, kept, offline));
    } else {
      client.value = null;
      if (!(error instanceof SignedOut)) throw error;
    }
  }
}

/**
 * What was there last time is there at once: the list can be asked for without asking first where and in
 * which mailboxes. The answers bring everything up to date.
 */
function again(found: OwnCredentials): boolean {
  const session = stored<Session | null>("session", null);
  const boxes = stored<Mailbox[]>("mailboxes", []);
  if (!session || !boxes.length || !found.login || session.username !== found.login) return false;
  credentials = found;
  const made = JmapClient.offline(OWN_SESSION, session, found);
  mailboxes.value = boxes;
  begin(made);
  void made.refreshSession().then(() => store("session", made.session), () => undefined);
  return true;
}

const MOST_KEPT = 500; // mailboxes
effect(() => {
  const known = mailboxes.value;
  if (known.length && known.length <= MOST_KEPT && !otherAccount.value) store("mailboxes", known);
});

/** Looks at another account, or with "" at one's own. */
export async function lookAt(account: string): Promise<void> {
  go({ mailbox: "" });
  forgetAll();
  otherAccount.value = account;
  await loadMailboxes().catch((error) => sayError("error_load", error));
}

export async function leave(): Promise<void> {
  const before = credentials;
  await composer.value?.close();
  // First of all: who sees that they are signed out is, whatever they do next.
  if (before instanceof OwnCredentials) await before.signOut();
  otherAccount.value = "";
  credentials = null;
  client.value = null;
  store("session", undefined);
  store("mailboxes", undefined);
  go({ mailbox: "" }, true);
  for (const name of (await globalThis.caches?.keys()) ?? []) {
    if (name.startsWith("mail-")) await caches.delete(name);
  }
}
