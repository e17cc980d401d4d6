/** For `boot.ts`: asks, and leaves each answer for `early`. */

import { EARLY, keyOf, REFRESH, type Early } from "./early";

const asked: Early["asked"] = new Map();

/** work: asks, and ends when it has asked for all it can. */
export function begin(work: () => Promise<void>): void {
  const early: Early = { asked, begun: work().catch(() => undefined) };
  (globalThis as { [EARLY]?: Early })[EARLY] = early;
}

/** The content of the answer; null where it is none that helps. Never throws. */
export function ahead<T>(method: string, url: string, body = "", token = ""): Promise<T | null> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body) headers["Content-Type"] = "application/json";
  if (token) headers.Authorization = `Bearer ${token}`;
  const answer = fetch(url, {
    method, headers, body: body || null, cache: "no-store", credentials: token ? "omit" : "same-origin",
  });
  asked.set(keyOf(method, url, body), answer);
  return answer.then((found) => (found.status === 200 ? (found.clone().json() as T) : null)).catch(() => null);
}

/** The token that the cookie of an earlier time still gives; "" for none. */
export async function token(): Promise<{ token: string; login: string }> {
  const given = await ahead<{ access_token?: string; account?: { login?: string } }>("POST", REFRESH, "{}");
  return { token: given?.access_token ?? "", login: given?.account?.login ?? "" };
}
