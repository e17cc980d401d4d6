/**
 * Who is signed in. With our own server: a short-lived access token in memory and a refresh token that only
 * the server's cookie holds. With another JMAP server: a login and password, or a token, for this tab.
 */

import type { Credentials } from "../jmap/client";
import { early, REFRESH } from "../lib/early";

export class SignInError extends Error {
  constructor(
    readonly reason: "wrong" | "code_required" | "code_wrong" | "too_many" | "insecure" | "network" | "other",
    detail = "",
  ) {
    super(detail || reason);
  }
}

interface Given {
  access_token: string;
  expires_in: number;
  account?: { login?: string; admin?: boolean };
}

const EARLY_S = 30; // a token is renewed so long before it ends
const SIGN_OUT_MS = 5_000; // for the server to answer that

export class OwnCredentials implements Credentials {
  admin = false;
  login = "";
  private token = "";
  private until = 0;
  private renewing: Promise<boolean> | null = null;

  static async signIn(login: string, password: string, code: string, stay: boolean): Promise<OwnCredentials> {
    const answer = await send("POST", "/auth/session", { login, password, ...(code ? { code } : {}), remember: stay });
    const made = new OwnCredentials();
    made.take((await answer.json()) as Given);
    return made;
  }

  /** From the cookie of an earlier sign-in; null: there is none that is good. Throws SignInError("network"). */
  static async resume(): Promise<OwnCredentials | null> {
    const made = new OwnCredentials();
    return (await made.renew()) ? made : null;
  }

  authorization(): string {
    return `Bearer ${this.token}`;
  }

  async fresh(): Promise<void> {
    if (Date.now() > this.until) await this.renew();
  }

  renew(): Promise<boolean> {
    this.renewing ??= this.refresh().finally(() => (this.renewing = null));
    return this.renewing;
  }

  private async refresh(): Promise<boolean> {
    let answer: Response;
    try {
      answer = await (early("POST", REFRESH, "{}") ?? fetch(REFRESH, {
        method: "POST", headers: { "Content-Type": "application/json" }, body: "{}", credentials: "same-origin",
      }));
    } catch {
      throw new SignInError("network");
    }
    if (answer.status >= 500) throw new SignInError("network");
    if (answer.status !== 200) return false; // 204: nobody was signed in
    this.take((await answer.json()) as Given);
    return true;
  }

  /** Returns after some seconds at most, without a network too. */
  async signOut(): Promise<void> {
    await fetch("/auth/session", {
      method: "DELETE", headers: { Authorization: this.authorization() }, credentials: "same-origin",
      keepalive: true, signal: AbortSignal.timeout(SIGN_OUT_MS),
    }).catch(() => undefined);
  }

  private take(given: Given): void {
    if (!given.access_token) throw new SignInError("other");
    this.token = given.access_token;
    this.admin = given.account?.admin === true;
    this.login = given.account?.login ?? "";
    this.until = Date.now() + (given.expires_in - EARLY_S) * 1000;
  }
}

export class FixedCredentials implements Credentials {
  constructor(private readonly field: string) {}

  static basic(login: string, password: string): FixedCredentials {
    const octets = new TextEncoder().encode(`${login}:${password}`);
    return new FixedCredentials(`Basic ${btoa(String.fromCharCode(...octets))}`);
  }

  static bearer(token: string): FixedCredentials {
    return new FixedCredentials(`Bearer ${token}`);
  }

  authorization(): string {
    return this.field;
  }

  async renew(): Promise<boolean> {
    return false;
  }
}

async function send(method: string, url: string, body: unknown): Promise<Response> {
  let answer: Response;
  try {
    answer = await fetch(url, {
      method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), credentials: "same-origin",
    });
  } catch {
    throw new SignInError("network");
  }
  if (answer.ok) return answer;
  const said = (await answer.json().catch(() => ({}))) as { error?: string; detail?: string };
  if (said.error === "code_required") throw new SignInError("code_required");
  if (said.error === "wrong_code") throw new SignInError("code_wrong");
  if (answer.status === 429) throw new SignInError("too_many");
  if (answer.status === 401) throw new SignInError("wrong");
  if (answer.status === 403) throw new SignInError("insecure", said.detail);
  throw new SignInError("other", said.detail);
}
