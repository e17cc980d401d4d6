/** Who administers, where we are, and loading what a view shows. */

import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { say } from "../state/app";
import { OwnCredentials } from "../state/auth";
import { ApiProblem, call, get, use, type ServerView } from "./api";
import { a } from "./text";

export interface SetupState { open: boolean; hostname?: string; code_file?: string }

export const server = signal<ServerView | null | undefined>(undefined); // null: nobody is signed in
export const setup = signal<SetupState>({ open: false });
export const refused = signal(false); // signed in, but no administrator
export const path = signal<string[]>(parts(location.hash));
addEventListener("hashchange", () => (path.value = parts(location.hash)));

function parts(hash: string): string[] {
  return hash.replace(/^#\/?/, "").split("/").filter(Boolean).map((part) => {
    try {
      return decodeURIComponent(part);
    } catch {
      return part;
    }
  });
}

export const hash = (...to: string[]) => `#/${to.map(encodeURIComponent).join("/")}`;
export function go(...to: string[]): void {
  location.hash = hash(...to);
}

export async function enter(given: OwnCredentials): Promise<void> {
  use(given);
  try {
    server.value = await get<ServerView>("/server");
    refused.value = false;
  } catch (error) {
    if (error instanceof ApiProblem && error.status === 403) {
      refused.value = true;
      server.value = null;
      return;
    }
    throw error;
  }
}

export async function resume(): Promise<void> {
  const [state, found] = await Promise.all([
    call<SetupState>("GET", "/setup").catch(() => ({ open: false })),
    OwnCredentials.resume().catch(() => null),
  ]);
  setup.value = state;
  try {
    if (found && !state.open) await enter(found);
    else server.value = null;
  } catch {
    server.value = null;
  }
}

export async function leave(): Promise<void> {
  const { credentials } = await import("./api");
  await credentials?.signOut();
  use(null);
  refused.value = false;
  server.value = null;
}

export interface Loaded<T> { value: T | null; problem: string; again: () => void; set: (value: T) => void }

/** Loads when shown and when `key` changes; every_s: again and again while it is seen. */
export function useLoad<T>(load: () => Promise<T>, key: string, every_s = 0): Loaded<T> {
  const [value, set] = useState<T | null>(null);
  const [problem, setProblem] = useState("");
  const [turn, setTurn] = useState(0);
  useEffect(() => {
    let alive = true;
    const run = () =>
      load().then(
        (found) => {
          if (!alive) return;
          set(found);
          setProblem("");
        },
        (error: unknown) => alive && setProblem(words(error)),
      );
    void run();
    const timer = every_s ? window.setInterval(() => document.hidden || void run(), every_s * 1000) : 0;
    return () => {
      alive = false;
      clearInterval(timer);
    };
  }, [key, turn]);
  return { value, problem, again: () => setTurn((n) => n + 1), set };
}

export function words(error: unknown): string {
  if (error instanceof ApiProblem) return error.message;
  return a("unreachable");
}

/** Does something, says that it was done, or why not. Returns what came of it, or null. */
export async function act<T>(work: () => Promise<T>, done = ""): Promise<T | null> {
  try {
    const found = await work();
    if (done) say(done);
    return found ?? (true as T);
  } catch (error) {
    say(words(error), { error: true, ms: 12_000 });
    return null;
  }
}
