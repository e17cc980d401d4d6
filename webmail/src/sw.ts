/// <reference lib="webworker" />
/**
 * The service worker: the shell at once and without a network, what was read before without a network, and
 * notices of new mail. Answers of JMAP are kept by the body of their request; nothing that changes is.
 */

const worker = globalThis as unknown as ServiceWorkerGlobalScope;

const SHELL: string[] = "__SHELL__" as unknown as string[];
const SHELL_CACHE = `shell-${hash(SHELL.join())}`;
const MAIL_CACHE = "mail-1";
const MOST_ANSWERS = 600;
const READS = /^(Mailbox\/get|Email\/get|Email\/query|Thread\/get|Identity\/get|Quota\/get)$/;

function hash(text: string): string {
  let value = 5381;
  for (const letter of text) value = ((value * 33) ^ letter.charCodeAt(0)) >>> 0;
  return value.toString(36);
}

async function digest(text: string): Promise<string> {
  const found = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return Array.from(new Uint8Array(found), (octet) => octet.toString(16).padStart(2, "0")).join("");
}

worker.addEventListener("install", (event) => {
  event.waitUntil(
    caches.open(SHELL_CACHE)
      .then((cache) => cache.addAll([...SHELL, "/paper.html", "/icon.svg", "/manifest.webmanifest"]))
      .then(() => worker.skipWaiting()),
  );
});

worker.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    for (const name of await caches.keys()) if (name.startsWith("shell-") && name !== SHELL_CACHE) await caches.delete(name);
    await worker.clients.claim();
  })());
});

worker.addEventListener("fetch", (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (url.origin !== worker.location.origin) return;
  if (request.method === "GET") {
    if (request.mode === "navigate" && url.pathname === "/") event.respondWith(fresh(request, "/"));
    else if (url.pathname === "/paper.html") event.respondWith(fresh(request, "/paper.html"));
    else if (url.pathname.startsWith("/assets/") || url.pathname === "/icon.svg") event.respondWith(kept(request));
    else if (url.pathname.startsWith("/jmap/download/")) event.respondWith(network(request, url.pathname));
  } else if (request.method === "POST" && url.pathname === "/jmap/api") {
    event.respondWith(api(request));
  }
});

/** From the network while there is one, so that a new version is seen at once. */
async function fresh(request: Request, key: string): Promise<Response> {
  const cache = await caches.open(SHELL_CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) await cache.put(key, answer.clone());
    return answer;
  } catch (error) {
    const found = await cache.match(key);
    if (found) return found;
    throw error;
  }
}

async function kept(request: Request): Promise<Response> {
  const cache = await caches.open(SHELL_CACHE);
  const found = await cache.match(request.url);
  if (found) return found;
  const answer = await fetch(request);
  if (answer.ok) await cache.put(request.url, answer.clone());
  return answer;
}

async function network(request: Request, key: string): Promise<Response> {
  const cache = await caches.open(MAIL_CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok && Number(answer.headers.get("Content-Length") ?? 0) < 2_000_000) await cache.put(key, answer.clone());
    return answer;
  } catch (error) {
    const found = await cache.match(key);
    if (found) return found;
    throw error;
  }
}

async function api(request: Request): Promise<Response> {
  const text = await request.clone().text();
  let calls: [string, Record<string, unknown>, string][] = [];
  try {
    calls = (JSON.parse(text) as { methodCalls: typeof calls }).methodCalls;
  } catch {
    return fetch(request);
  }
  const wanted = calls.filter(([method]) => READS.test(method) || /\/changes$/.test(method));
  if (wanted.length !== calls.length) return fetch(request);
  // What has changed since is of no use later: without it the same question has the same key.
  const key = `/jmap/api?${await digest(JSON.stringify(calls.filter(([method, , id]) => !/changes$/.test(method) && id !== "changed")))}`;
  const cache = await caches.open(MAIL_CACHE);
  try {
    const answer = await fetch(request);
    if (answer.ok) {
      await cache.put(key, answer.clone());
      void trim(cache);
    }
    return answer;
  } catch (error) {
    const found = await cache.match(key);
    if (found) return new Response(found.body, { headers: { "Content-Type": "application/json", "X-Kept": "1" } });
    throw error;
  }
}

let puts = 0;

async function trim(cache: Cache): Promise<void> {
  if (++puts % 50) return;
  const keys = await cache.keys();
  for (const key of keys.slice(0, Math.max(0, keys.length - MOST_ANSWERS))) await cache.delete(key);
}

// Web Push (RFC 8620 section 7.2) -------------------------------------------------------------------

interface Pushed {
  "@type": "PushVerification" | "StateChange";
  pushSubscriptionId?: string;
  verificationCode?: string;
}

worker.addEventListener("push", (event) => {
  event.waitUntil((async () => {
    let said: Pushed | null = null;
    try {
      said = event.data?.json() as Pushed;
    } catch {
      return;
    }
    const pages = await worker.clients.matchAll({ type: "window" });
    if (said?.["@type"] === "PushVerification") {
      for (const page of pages) page.postMessage({ type: "verify", id: said.pushSubscriptionId, code: said.verificationCode });
      return;
    }
    if (pages.some((page) => page.visibilityState === "visible")) return;
    const german = worker.navigator.language.startsWith("de");
    const french = worker.navigator.language.startsWith("fr");
    const title = german ? "Neue Nachrichten" : french ? "Nouveaux messages" : "New mail";
    await worker.registration.showNotification(title, { icon: "/icon-192.png", badge: "/icon-192.png", tag: "mail" });
  })());
});

worker.addEventListener("notificationclick", (event) => {
  event.notification.close();
  event.waitUntil((async () => {
    const [page] = await worker.clients.matchAll({ type: "window" });
    if (page) await page.focus();
    else await worker.clients.openWindow("/");
  })());
});
