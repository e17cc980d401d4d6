/** Files of a message being written: uploaded a few at a time, tried again, taken out. */

import { signal } from "@preact/signals";
import { size, t } from "../i18n";
import { MAIL, SignedOut, Unreachable } from "../jmap/client";
import type { Id } from "../jmap/types";
import { jmap, online } from "./app";
import { unlikely, type KeptFile } from "./kept";

export interface Attachment {
  key: number;
  name: string;
  type: string;
  size: number;
  blobId: Id | null; // null while it is being uploaded
  part: number; // uploaded so far, 0 to 1
  cid: string | null; // of an image that stands in the text
  error: string;
  stop: AbortController | null;
  file: File | null; // to be uploaded (again)
}

let keys = 0;

/** Of something that the server has already. */
export function attached(file: KeptFile): Attachment {
  return { key: ++keys, ...file, part: 1, error: "", stop: null, file: null };
}

export class Attachments {
  readonly list = signal<Attachment[]>([]);
  private waiting: (() => void)[] = [];
  private running = 0;

  constructor(private readonly account: Id, private readonly changed: () => void) {}

  get pending(): boolean {
    return this.list.value.some((one) => !one.blobId && !one.error);
  }

  /** Ends when each is uploaded or has failed; what was taken out meanwhile has no blob. */
  async add(files: Iterable<File>, inline = false): Promise<Attachment[]> {
    const made: Attachment[] = [...files].map((file) => ({
      key: ++keys, name: file.name || "image.png", type: file.type || "application/octet-stream", size: file.size,
      blobId: null, part: 0, cid: inline ? `${unlikely()}@postillon` : null, error: "", stop: null, file,
    }));
    this.list.value = [...this.list.value, ...made];
    await Promise.all(made.map((one) => this.upload(one)));
    return made.map((one) => this.list.value.find((other) => other.key === one.key) ?? one);
  }

  async again(key: number): Promise<void> {
    const one = this.list.value.find((other) => other.key === key);
    if (one?.file) await this.upload(one);
  }

  /** When nothing is under way any more. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      const stop = this.list.subscribe(() => {
        if (this.pending) return;
        resolve();
        queueMicrotask(() => stop());
      });
    });
  }

  /** What could not be uploaded for want of a network. */
  retry(): void {
    for (const one of this.list.value) if (one.error && one.error === t("attachment_offline")) void this.again(one.key);
  }

  remove(key: number): void {
    this.list.value.find((one) => one.key === key)?.stop?.abort();
    this.list.value = this.list.value.filter((one) => one.key !== key);
    this.changed();
  }

  /** The server no longer has these: they would have to be given again. */
  lost(blobs: Id[]): void {
    for (const one of this.list.value) {
      if (one.blobId && blobs.includes(one.blobId)) this.update(one.key, { blobId: null, error: t("attachment_failed") });
    }
  }

  update(key: number, change: Partial<Attachment>): void {
    this.list.value = this.list.value.map((one) => (one.key === key ? { ...one, ...change } : one));
  }

  /** Why it cannot be part of a message, before a single octet goes out; "" for nothing. */
  private tooBig(one: Attachment): string {
    const most = jmap().limit("maxSizeUpload", 50_000_000);
    if (one.size > most) return t("attachment_too_big", { most: size(most) });
    const given = jmap().account(this.account)?.accountCapabilities[MAIL]?.maxSizeAttachmentsPerEmail;
    const all = typeof given === "number" ? given : Infinity;
    const before = this.list.value.filter((other) => other.key !== one.key && !other.error);
    if (before.reduce((sum, other) => sum + other.size, one.size) > all) return t("attachments_too_big", { most: size(all) });
    return "";
  }

  private async upload(one: Attachment): Promise<void> {
    const stop = new AbortController();
    const error = this.tooBig(one);
    this.update(one.key, { error, part: 0, stop: error ? null : stop });
    if (error) return;
    await this.turn();
    try {
      if (stop.signal.aborted) return;
      const found = await jmap().upload(this.account, one.file!, (part) => this.update(one.key, { part }), stop.signal);
      this.update(one.key, { blobId: found.blobId, part: 1, stop: null, size: found.size });
      this.changed();
    } catch (problem) {
      if (problem instanceof DOMException) return; // taken out
      const away = problem instanceof Unreachable || problem instanceof SignedOut || !online.value;
      const said = problem instanceof Error ? problem.message : "";
      this.update(one.key, { error: away ? t("attachment_offline") : said || t("attachment_failed"), stop: null });
    } finally {
      this.running -= 1;
      this.waiting.shift()?.();
    }
  }

  /** A server takes only so many uploads at once (RFC 8620 section 2). */
  private async turn(): Promise<void> {
    while (this.running >= Math.min(4, jmap().limit("maxConcurrentUpload", 4))) {
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
    this.running += 1;
  }
}
