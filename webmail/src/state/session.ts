/** Coming in and going out. */

import { JmapClient, SignedOut, Unreachable, type Credentials } from "../jmap/client";
import type { Session } from "../jmap/types";
import { store, stored } from "../lib/dom";
import { client, go, otherAccount, sayError } from "./app";
import { OwnCredentials, SignInError } from "./auth";
import { forgetAll, loadMailboxes } from "./mail";

export const OWN_SESSION = "/.well-known/jmap";
export let credentials: Credentials | null = null;

export async function enter(url: string, given: Credentials): Promise<void> {
  const made = await JmapClient.connect(url, given);
  credentials = given;
  if (url === OWN_SESSION) store("session", made.session);
  client.value = made;
  await loadMailboxes();
}

/** On load: with the cookie of an earlier time; without a network, with what was kept. */
export async function resume(): Promise<void> {
  if (new URLSearchParams(location.search).has("server")) {
    client.value = null;
    return;
  }
  try {
    const found = await OwnCredentials.resume();
    if (found) await enter(OWN_SESSION, found);
    else client.value = null;
  } catch (error) {
    const kept = stored<Session | null>("session", null);
    const away = error instanceof Unreachable || (error instanceof SignInError && error.reason === "network");
    if (kept && away) {
      const offline = new OwnCredentials();
      credentials = offline;
      client.value = JmapClient.offline(OWN_SESSION, kept, offline);
      await loadMailboxes().catch(() => undefined);
    } else {
      client.value = null;
      if (!(error instanceof SignedOut)) throw error;
    }
  }
}

/** Looks at another account, or with "" at one's own. */
export async function lookAt(account: string): Promise<void> {
  go({ mailbox: "" });
  forgetAll();
  otherAccount.value = account;
  await loadMailboxes().catch((error) => sayError("error_load", error));
}

export async function leave(): Promise<void> {
  const before = credentials;
  otherAccount.value = "";
  credentials = null;
  client.value = null;
  store("session", undefined);
  go({ mailbox: "" }, true);
  for (const name of (await globalThis.caches?.keys()) ?? []) {
    if (name.startsWith("mail-")) await caches.delete(name);
  }
  if (before instanceof OwnCredentials) await before.signOut();
}
