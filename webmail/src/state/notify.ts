/** New mail, told of outside the page: by the page while it is open, by Web Push when it is not. */

import { effect, signal, untracked } from "@preact/signals";
import { t } from "../i18n";
import type { GetResult, Id, QueryResult, EmailSummary, SetResult } from "../jmap/types";
import { nameOf } from "../lib/address";
import { store, stored } from "../lib/dom";
import { go, jmap, mailAccount } from "./app";
import { inbox } from "./mail";

const VAPID = "urn:ietf:params:jmap:webpush-vapid"; // RFC 9749
const TYPES = ["EmailDelivery"]; // RFC 8621 section 1.5: new mail, and not every change

export const notices = signal(stored("notices", false) && "Notification" in globalThis && Notification.permission === "granted");

export function noticesPossible(): boolean {
  return "Notification" in globalThis && isSecureContext;
}

/** False: the browser or its owner does not want it. */
export async function enableNotices(on: boolean): Promise<boolean> {
  if (!on) {
    notices.value = false;
    store("notices", false);
    await unsubscribe().catch(() => undefined);
    return true;
  }
  if ((await Notification.requestPermission()) !== "granted") return false;
  notices.value = true;
  store("notices", true);
  await subscribe().catch(() => undefined);
  return true;
}

let newest = "";

export async function startNotices(): Promise<void> {
  effect(() => {
    const box = inbox.value;
    const unread = box?.unreadEmails ?? 0;
    if (!box || !notices.value) return;
    untracked(() => void look(box.id, unread));
  });
  if (notices.value) await subscribe().catch(() => undefined);
}

async function look(mailbox: Id, unread: number): Promise<void> {
  if (!unread) return;
  const accountId = mailAccount.value;
  const answers = await jmap().request([
    ["Email/query", {
      accountId, filter: { operator: "AND", conditions: [{ inMailbox: mailbox }, { notKeyword: "$seen" }] },
      sort: [{ property: "receivedAt", isAscending: false }], limit: 1,
    }, "q"],
    ["Email/get", {
      accountId, "#ids": { resultOf: "q", name: "Email/query", path: "/ids" },
      properties: ["id", "threadId", "from", "subject", "preview", "receivedAt"],
    }, "g"],
  ]).catch(() => null);
  void answers?.maybe<QueryResult>("q");
  const email = answers?.maybe<GetResult<EmailSummary>>("g")?.list[0];
  if (!email) return;
  const first = newest === "";
  const fresh = email.receivedAt > newest;
  if (fresh) newest = email.receivedAt;
  if (first || !fresh || document.visibilityState === "visible") return;
  const from = email.from?.[0];
  const options = { body: email.subject ?? "", icon: "/icon-192.png", tag: "mail", data: { thread: email.threadId } };
  const shown = new Notification(from ? nameOf(from) : t("new_mail"), options);
  shown.onclick = () => {
    focus();
    go({ mailbox: "", open: email.threadId });
    shown.close();
  };
}

function octets(text: string): Uint8Array<ArrayBuffer> {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  const made = new Uint8Array(new ArrayBuffer(plain.length));
  for (let n = 0; n < plain.length; n += 1) made[n] = plain.charCodeAt(n);
  return made;
}

function base64(buffer: ArrayBuffer | null): string {
  return buffer ? btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "") : "";
}

interface Kept {
  id: Id;
  endpoint: string;
}

/** RFC 8620 section 7.2: the server is told where to push; it first pushes a code, which we give back. */
async function subscribe(): Promise<void> {
  const key = jmap().session.capabilities[VAPID]?.applicationServerKey;
  if (typeof key !== "string" || !("PushManager" in globalThis)) return;
  const worker = await navigator.serviceWorker.ready;
  const made = await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: octets(key) });
  const known = stored<Kept | null>("push", null);
  if (known?.endpoint === made.endpoint) {
    // It ends after a while unless we say that we are still here.
    const kept = await jmap().call<SetResult<{ id: Id }>>("PushSubscription/set", { update: { [known.id]: { expires: null } } });
    if (!kept.notUpdated?.[known.id]) return;
  }
  let device = stored("device", "");
  if (!device) {
    device = crypto.randomUUID();
    store("device", device);
  }
  const result = await jmap().call<SetResult<{ id: Id }>>("PushSubscription/set", {
    create: { push: {
      deviceClientId: device, url: made.endpoint, types: TYPES,
      keys: { p256dh: base64(made.getKey("p256dh")), auth: base64(made.getKey("auth")) },
    } },
  });
  const id = result.created?.push?.id;
  if (id) store("push", { id, endpoint: made.endpoint } satisfies Kept);
}

async function unsubscribe(): Promise<void> {
  const known = stored<Kept | null>("push", null);
  store("push", undefined);
  const worker = await navigator.serviceWorker?.getRegistration();
  await (await worker?.pushManager?.getSubscription())?.unsubscribe();
  if (known) await jmap().call("PushSubscription/set", { destroy: [known.id] });
}

navigator.serviceWorker?.addEventListener("message", (event: MessageEvent<{ type: string; id: Id; code: string; thread: string }>) => {
  if (event.data.type === "verify") {
    void jmap().call("PushSubscription/set", { update: { [event.data.id]: { verificationCode: event.data.code } } });
  }
});
