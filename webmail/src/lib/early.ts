/**
 * What the page has asked for by itself, before its scripts were there (`boot.ts`, in the head of the page):
 * whoever asks the same takes that answer. Each is there once. Without it everything is asked for when wanted.
 */

export const EARLY = "postillonEarly";
/** Where a page asks first: the cookie of an earlier time for a token. With an empty object. */
export const REFRESH = "/auth/session/refresh";

export interface Early {
  asked: Map<string, Promise<Response>>;
  /** When all that is asked early has been asked; answers may still be on their way. */
  begun: Promise<void>;
}

const found = (globalThis as { [EARLY]?: Early })[EARLY];

export const begun: Promise<void> = found?.begun ?? Promise.resolve();

export function keyOf(method: string, url: string, body = ""): string {
  return `${method} ${url.startsWith(location.origin) ? url.slice(location.origin.length) : url} ${body}`;
}

/** url: of this server. Rejects as the fetch would. */
export function early(method: string, url: string, body = ""): Promise<Response> | undefined {
  if (!found?.asked.size) return undefined;
  const key = keyOf(method, url, body);
  const answer = found.asked.get(key);
  found.asked.delete(key);
  return answer;
}
