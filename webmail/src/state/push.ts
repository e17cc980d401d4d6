/** Live: the server tells of changes and what is shown follows. */

import { RULES, SignedOut, Unreachable } from "../jmap/client";
import { client, online } from "./app";
import { catchUp, refresh } from "./list";
import { signal } from "@preact/signals";

const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;

/** Told of submissions too: whoever shows delivery status looks again when this has grown. */
export const submissionsChanged = signal(0);
export const rulesChanged = signal(0); // the same for rules
export const live = signal(false);

export function startPush(): () => void {
  const stop = new AbortController();
  let connection: AbortController | null = null;
  let wait = FIRST_WAIT_MS;
  let wake: () => void = () => undefined;

  const run = async () => {
    while (!stop.signal.aborted) {
      const jmap = client.value;
      if (!jmap) return;
      connection = new AbortController();
      stop.signal.addEventListener("abort", () => connection?.abort(), { once: true });
      try {
        await jmap.listen(
          ["Email", "Mailbox", "Thread", "EmailSubmission", ...(jmap.has(RULES) ? ["Rule"] : [])],
          (change) => {
            const types = Object.values(change.changed).flatMap((found) => Object.keys(found));
            if (types.includes("EmailSubmission")) submissionsChanged.value += 1;
            if (types.includes("Rule")) rulesChanged.value += 1;
            if (types.some((type) => type !== "EmailSubmission" && type !== "Rule")) void refresh();
          },
          () => {
            wait = FIRST_WAIT_MS;
            live.value = true;
            void catchUp(); // what has happened while nobody listened
          },
          connection.signal,
        );
      } catch (error) {
        if (error instanceof SignedOut) {
          client.value = null;
          return;
        }
        if (!(error instanceof Unreachable) && !(error instanceof TypeError) && !(error instanceof DOMException)) {
          wait = LONGEST_WAIT_MS;
        }
      }
      live.value = false;
      if (stop.signal.aborted) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        setTimeout(resolve, wait * (0.8 + 0.4 * Math.random()));
      });
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  };
  const seen = () => {
    if (document.visibilityState === "visible" && !live.value) wake();
  };
  document.addEventListener("visibilitychange", seen);
  const back = online.subscribe((is) => {
    if (is) wake();
  });
  void run();
  return () => {
    stop.abort();
    back();
    document.removeEventListener("visibilitychange", seen);
  };
}
