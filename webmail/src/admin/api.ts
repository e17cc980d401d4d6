/** The administration API (/api/v1) as the server describes it in its OpenAPI document. */

import { early } from "../lib/early";
import type { OwnCredentials } from "../state/auth";

export class ApiProblem extends Error {
  constructor(readonly status: number, readonly detail: string, readonly hint: string, readonly problems: string[]) {
    super(hint ? `${detail} – ${hint}` : detail);
  }
}

export let credentials: OwnCredentials | null = null;
export function use(given: OwnCredentials | null): void {
  credentials = given;
}

export interface Line {
  key: string; name: string; hosts: string[]; recipients: number; down_since: number | null; next_probe_at: number | null;
  held: boolean; words: string; said_at: number | null;
}
export interface Destination {
  name: string; recipients: number; messages: number; oldest: number | null; next_try_at: number | null; line: Line | null;
}
export interface Waiting {
  address: string; destination: string; state: string; due_at: number | null; attempts: number; last_at: number | null;
  status: string; gives_up_at: number; line: Line | null;
}
export interface Queued {
  id: string; reverse_path: string; size: number; lane: string; accepted_at: number; expires_at: number; held: string;
  recipients: Waiting[];
}
export interface Alert { kind: string; subject: string; words: string; remedy: string; began_at: number }
export interface Overview {
  at: number; messages: number; waiting: number; in_hand: number; in_line: number; held: number; isolated: number;
  oldest: number | null; destinations: Destination[]; destination_count: number; held_messages: Queued[]; alerts: Alert[];
}
export interface Page { messages: Queued[]; recipients_in_all: number; messages_in_all: number }
export interface Try { at: number; address: string; outcome: string; status: string }
export interface QueuedStory { message: Queued; attempts: Try[] }
export interface Sampled { id: string; sender: string; recipient: string; destination: string; accepted_at: number; words: string }
export interface Preview {
  verb: string; what: string; destination: string; recipients: number; messages: number; octets: number; oldest: number | null;
  in_hand: number; in_line: number; held: number; reports: number; senders: { address: string; reports: number }[];
  sample: Sampled[]; lines: Line[]; via: string;
}
export interface Outcome { preview: Preview; done: { recipients: number; messages: number; in_hand: number; destinations: string[] } | null }
export interface Domain {
  name: string; unicode: string; enabled: boolean; separator: string; catch_all: string[]; split: boolean; next_hop: string | null;
  accounts: number; aliases: number; groups: number; created_at: number;
}
export interface Checked { name: string; kind: string; value: string; purpose: string; verdict: "right" | "other" | "missing" | "unknown"; found: string; needed: boolean }
export interface Account {
  id: number; login: string; name: string; kind: string; enabled: boolean; admin: boolean; language: string; addresses: string[];
  quota: number | null; used: number; emails: number; created_at: number;
}
export interface AccountMade { account: Account; password: string | null }
export interface Alias { address: string; targets: string[] }
export interface Group { address: string; name: string; enabled: boolean; members: string[] }
export interface Share { mailbox: string; who: string; rights: string }
export interface AppPassword { id: number; name: string; protocols: string[]; created_at: number; used_at: number | null; expires_at: number | null }
export interface SecondFactor { login: string; on: boolean; since: number | null; sessions: number }
export interface ApiKey { id: number; name: string; scopes: string[]; created_at: number; used_at: number | null; expires_at: number | null }
export interface Story {
  id: string; at: number; reverse_path: string; forward_paths: string[]; message_id: string; facts: Record<string, unknown>;
  events: { at: number; kind: string; facts: Record<string, unknown> }[];
}
export interface Complaint { severity: "error" | "warning" | "note"; area: string; subject: string; what: string; remedy: string; since: number | null }
export interface Health { complaints: Complaint[]; domains: number; examined: number }
export interface Minute {
  at: number; accepted: number; delivered: number; relayed: number; deferred: number; failed: number; refused: number; logins: number;
  failed_logins: number; accepted_us: number;
}
export interface Act { id: number; at: number; who: string; via: string; act: string; subject: string; facts: Record<string, unknown> }
export interface SignInLine {
  entry: number; network: string; address: string; login: string; protocol: string; outcome: string; attempts: number; first_at: number; last_at: number;
}
export interface SlowedOne {
  kind: "network" | "login" | "code"; network: string; login: string; failures: number; delay_s: number; refused: boolean; last_at: number; until: number;
}
export interface Slowed { slowed: SlowedOne[]; number: number }
export interface Forgiven { network: string; login: string; lifted: SlowedOne[]; together: number; stays: SlowedOne[]; done: boolean }
export interface Limit {
  setting: string; value: number; unit: "octets" | "seconds" | "number"; purpose: string; changed: boolean; used: number | null; of: number | null;
}
export interface Limits {
  workers: number; limits: Limit[]; connections: { protocol: string; open: number; peak: number }[]; full: { login: string; used: number; quota: number }[];
  full_number: number;
}
export interface ServerView { name: string; version: string; hostname: string; listeners: string[]; domains: number; now: number }
export interface SettingView { section: string; key: string; value: string; default: string; changed: boolean; purpose: string }

type Query = Record<string, string | number | boolean | undefined>;

/** Throws ApiProblem with the server's words, or TypeError when it cannot be reached. */
export async function call<T>(method: string, path: string, body?: unknown, query: Query = {}): Promise<T> {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) if (value !== undefined && value !== "") asked.set(name, String(value));
  const text = asked.toString();
  await credentials?.fresh();
  const url = `/api/v1${path}${text ? `?${text}` : ""}`;
  const send = () =>
    early(method, url) ?? fetch(url, {
      method,
      headers: {
        ...(credentials ? { Authorization: credentials.authorization() } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
      },
      body: body === undefined ? null : JSON.stringify(body),
      credentials: "omit",
    });
  let answer = await send();
  if (answer.status === 401 && credentials && (await credentials.renew())) answer = await send();
  if (answer.status === 204) return undefined as T;
  const found: unknown = await answer.json().catch(() => ({}));
  if (answer.ok) return found as T;
  const said = found as { detail?: string; hint?: string; problems?: string[] };
  throw new ApiProblem(answer.status, said.detail ?? answer.statusText, said.hint ?? "", said.problems ?? []);
}

export const get = <T>(path: string, query?: Query) => call<T>("GET", path, undefined, query);
export const at = (...parts: string[]) => `/${parts.map((part) => encodeURIComponent(part).replaceAll("%40", "@")).join("/")}`;
