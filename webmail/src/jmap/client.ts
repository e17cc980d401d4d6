/** A thin client of JMAP (RFC 8620): method calls, uploads, downloads, and the errors of all three. */

import { signal } from "@preact/signals";
import { early } from "../lib/early";
import { asOurs, bodyOf, CORE, MAIL, type Call } from "./first";
import type { Account, Id, Session, StateChange } from "./types";

export { MAIL, PRINCIPALS, QUOTA, RULES, SUBMISSION, TRACE, VACATION, type Call } from "./first";

/** Gives the Authorization field, and gets a new one when it is no longer taken. */
export interface Credentials {
  authorization(): string;
  /** False: there is nothing to renew, somebody has to sign in again. */
  renew(): Promise<boolean>;
}

export class SignedOut extends Error {}

/** No answer at all: no network, or no server. */
export class Unreachable extends Error {}

/** A problem document of the server (RFC 7807), or a status without one. */
export class Refused extends Error {
  constructor(readonly status: number, readonly type: string, detail: string) {
    super(detail || type || `HTTP ${status}`);
  }
}

/** The answer of one method call (RFC 8620 section 3.6.2). */
export class MethodError extends Error {
  constructor(readonly method: string, readonly type: string, readonly description: string) {
    super(description || `${method}: ${type}`);
  }
}

type Answer = [method: string, args: Record<string, unknown>, id: string];

export class Answers {
  /** old: kept of an earlier time by the service worker, because there is no network. */
  constructor(private readonly list: Answer[], readonly old = false) {}

  /** The first answer to a call. Throws the MethodError it has earned. */
  get<T>(id: string): T {
    const found = this.list.find((answer) => answer[2] === id);
    if (!found) throw new MethodError(id, "serverFail", "");
    if (found[0] === "error") {
      throw new MethodError(id, String(found[1].type), String(found[1].description ?? ""));
    }
    return found[1] as T;
  }

  /** The same, with null for an error. */
  maybe<T>(id: string): T | null {
    try {
      return this.get<T>(id);
    } catch (error) {
      if (error instanceof MethodError) return null;
      throw error;
    }
  }
}

export class JmapClient {
  private readonly known = signal<Session | null>(null);
  private asked = ""; // the state of the session that was asked for last
  /** Called when the credentials are no longer taken, whatever was asked for. */
  ended: () => void = () => undefined;
  /** Called after each question: did the server answer? */
  reached: (is: boolean) => void = () => undefined;

  private constructor(private readonly credentials: Credentials, private readonly base: string) {}

  /** Reads the session resource at `url` (usually /.well-known/jmap of the server). */
  static async connect(url: string, credentials: Credentials): Promise<JmapClient> {
    const client = new JmapClient(credentials, new URL(url, location.href).href);
    await client.refreshSession();
    return client;
  }

  /** From what was kept of an earlier session, for reading without a network. */
  static offline(url: string, session: Session, credentials: Credentials): JmapClient {
    const client = new JmapClient(credentials, new URL(url, location.href).href);
    client.known.value = session;
    return client;
  }

  /** What the server said last. Whatever shows something of it is drawn anew when that changes. */
  get session(): Session {
    return this.known.value!;
  }

  async refreshSession(): Promise<void> {
    const answer = await this.fetch(this.base, { headers: { Accept: "application/json" } });
    const found = (await answer.json()) as Session;
    const made = new URL(this.base).origin === location.origin ? asOurs(found) : found;
    if (JSON.stringify(made) !== JSON.stringify(this.known.peek())) this.known.value = made;
  }

  /** Each answer tells whether the session is still as it was (RFC 8620 section 3.4). */
  private compare(state: string): void {
    if (state === this.session.state || state === this.asked) return;
    this.asked = state;
    void this.refreshSession().catch(() => undefined);
  }

  accountFor(capability: string): Id {
    return this.session.primaryAccounts[capability] ?? this.session.primaryAccounts[MAIL] ?? "";
  }

  account(id: Id): Account | undefined {
    return this.session.accounts[id];
  }

  has(capability: string): boolean {
    return capability in this.session.capabilities;
  }

  /** A limit of the server (RFC 8620 section 2). */
  limit(name: string, otherwise: number): number {
    const found = this.session.capabilities[CORE]?.[name];
    return typeof found === "number" ? found : otherwise;
  }

  /** Several calls in one request. */
  async request(calls: Call[]): Promise<Answers> {
    const answer = await this.fetch(this.absolute(this.session.apiUrl), {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: bodyOf(this.session, calls),
    });
    const body = (await answer.json()) as { methodResponses: Answer[]; sessionState: string };
    this.compare(body.sessionState);
    return new Answers(body.methodResponses, answer.headers.has("X-Kept"));
  }

  async call<T>(method: string, args: Record<string, unknown>): Promise<T> {
    return (await this.request([[method, args, "0"]])).get<T>("0");
  }

  downloadUrl(accountId: Id, blobId: Id, name: string, type: string): string {
    const values: Record<string, string> = { accountId, blobId, name, type };
    const url = this.session.downloadUrl.replace(/\{(\w+)\}/g, (_, key: string) =>
      encodeURIComponent(values[key] ?? ""),
    );
    return this.absolute(url);
  }

  async download(accountId: Id, blobId: Id, name: string, type: string, signal?: AbortSignal): Promise<Response> {
    return this.fetch(this.downloadUrl(accountId, blobId, name, type), { signal: signal ?? null });
  }

  /** fetch has no progress of what it sends, XMLHttpRequest has. */
  upload(
    accountId: Id, body: Blob, progress: (part: number) => void, signal?: AbortSignal,
  ): Promise<{ blobId: Id; type: string; size: number }> {
    const url = this.absolute(this.session.uploadUrl.replace("{accountId}", encodeURIComponent(accountId)));
    const once = () =>
      new Promise<XMLHttpRequest>((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open("POST", url);
        request.setRequestHeader("Authorization", this.credentials.authorization());
        request.setRequestHeader("Content-Type", body.type || "application/octet-stream");
        request.upload.onprogress = (event) => progress(event.total ? event.loaded / event.total : 0);
        request.onload = () => resolve(request);
        request.onerror = () => reject(new Unreachable());
        request.onabort = () => reject(new DOMException("aborted", "AbortError"));
        signal?.addEventListener("abort", () => request.abort());
        request.send(body);
      });
    return (async () => {
      let request = await once();
      if (request.status === 401 && (await this.credentials.renew())) request = await once();
      if (request.status === 401) throw this.signedOut();
      if (request.status >= 300) throw refusal(request.status, request.responseText);
      return JSON.parse(request.responseText) as { blobId: Id; type: string; size: number };
    })();
  }

  /** With credentials, once renewed if they are no longer taken. */
  async fetch(url: string, options: RequestInit = {}): Promise<Response> {
    const once = async () => {
      const headers = new Headers(options.headers);
      headers.set("Authorization", this.credentials.authorization());
      try {
        const asked = early(options.method ?? "GET", url, typeof options.body === "string" ? options.body : "");
        return await (asked ?? fetch(url, { ...options, headers, credentials: "omit", cache: options.cache ?? "no-store" }));
      } catch (error) {
        if (error instanceof DOMException && error.name === "AbortError") throw error;
        this.reached(false);
        throw new Unreachable();
      }
    };
    let answer = await once();
    // A proxy whose server is being started again.
    const away = [502, 503, 504].includes(answer.status);
    this.reached(!away && !answer.headers.has("X-Kept"));
    if (away) throw new Unreachable();
    if (answer.status === 401 && (await this.credentials.renew())) answer = await once();
    if (answer.status === 401) throw this.signedOut();
    if (!answer.ok) throw refusal(answer.status, await answer.text());
    return answer;
  }

  /**
   * Listens to changes (RFC 8620 section 7.3) until `signal` aborts. A stream of fetch and not an
   * EventSource, which cannot send an Authorization field.
   */
  async listen(
    types: string[], heard: (change: StateChange) => void, opened: () => void, signal: AbortSignal,
  ): Promise<void> {
    const values: Record<string, string> = { types: types.join(","), closeafter: "no", ping: "60" };
    const url = this.session.eventSourceUrl.replace(/\{(\w+)\}/g, (_, key: string) =>
      encodeURIComponent(values[key] ?? ""),
    );
    const answer = await this.fetch(this.absolute(url), { headers: { Accept: "text/event-stream" }, signal });
    if (!answer.body) return;
    opened();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      rest += value.replaceAll("\r\n", "\n");
      let end: number;
      while ((end = rest.indexOf("\n\n")) >= 0) {
        const change = stateChange(rest.slice(0, end));
        rest = rest.slice(end + 2);
        if (change) heard(change);
      }
    }
  }

  private signedOut(): SignedOut {
    this.ended();
    return new SignedOut();
  }

  absolute(url: string): string {
    return new URL(url, this.base).href;
  }
}

function stateChange(event: string): StateChange | null {
  let name = "message";
  const data: string[] = [];
  for (const line of event.split("\n")) {
    if (line.startsWith("event:")) name = line.slice(6).trim();
    if (line.startsWith("data:")) data.push(line.slice(5).replace(/^ /, ""));
  }
  if (name !== "state" || !data.length) return null;
  try {
    return JSON.parse(data.join("\n")) as StateChange;
  } catch {
    return null;
  }
}

function refusal(status: number, text: string): Refused {
  try {
    const body = JSON.parse(text) as { type?: string; detail?: string; title?: string; error?: string };
    return new Refused(status, body.type ?? body.error ?? "", body.detail ?? body.title ?? "");
  } catch {
    return new Refused(status, "", "");
  }
}
