/** Blobs and remote images as addresses that a page may show: each is fetched once, with credentials. */

import type { Id } from "../jmap/types";
import { jmap, mailAccount } from "./app";

const MOST = 200;
const kept = new Map<string, Promise<string>>();

function keep(key: string, make: () => Promise<Blob>): Promise<string> {
  const known = kept.get(key);
  if (known) return known;
  const made = make().then((blob) => URL.createObjectURL(blob));
  made.catch(() => kept.delete(key));
  kept.set(key, made);
  for (const [oldest, url] of kept) {
    if (kept.size <= MOST) break;
    kept.delete(oldest);
    void url.then((text) => URL.revokeObjectURL(text), () => undefined);
  }
  return made;
}

/** type: what the browser shall take it for; never what could run. */
export function blobUrl(blobId: Id, name: string, type: string): Promise<string> {
  return keep(`${blobId} ${type}`, async () => {
    const answer = await jmap().download(mailAccount.value, blobId, name, type);
    return new Blob([await answer.arrayBuffer()], { type });
  });
}

export async function blobText(blobId: Id, most = 500_000): Promise<string> {
  const answer = await jmap().download(mailAccount.value, blobId, "text", "text/plain");
  const octets = await answer.arrayBuffer();
  const text = new TextDecoder("utf-8", { fatal: false }).decode(octets.slice(0, most));
  return octets.byteLength > most ? `${text}\n…` : text;
}

export function imageUrl(url: string): Promise<string> {
  return keep(url, async () => {
    const answer = await jmap().fetch(jmap().absolute(`/webmail/image?url=${encodeURIComponent(url)}`), { cache: "default" });
    return answer.blob();
  });
}
