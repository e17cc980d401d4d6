/** Messages that wait for the time their writer has chosen: which they are, another time, none at all. */

import { signal } from "@preact/signals";
import { mediumDate, t } from "../i18n";
import { SUBMISSION } from "../jmap/client";
import type { Email, EmailSubmission, GetResult, Id, SetResult } from "../jmap/types";
import { client, jmap, say, sayError } from "./app";
import { takenBack } from "./sending";

const SOON_MS = 90_000; // what leaves sooner only waits to be taken back

export interface Scheduled {
  id: Id;
  at: string;
  submission: EmailSubmission;
  email: Pick<Email, "id" | "subject" | "to" | "cc" | "bcc" | "preview">;
}

/** The next one first. */
export const scheduled = signal<Scheduled[]>([]);

export async function loadScheduled(): Promise<void> {
  if (!jmap().has(SUBMISSION)) return;
  const accountId = jmap().accountFor(SUBMISSION);
  const answers = await jmap().request([
    ["EmailSubmission/query", { accountId, filter: { undoStatus: "pending" } }, "q"],
    ["EmailSubmission/get", { accountId, "#ids": { resultOf: "q", name: "EmailSubmission/query", path: "/ids" } }, "g"],
    ["Email/get", {
      accountId, "#ids": { resultOf: "g", name: "EmailSubmission/get", path: "/list/*/emailId" },
      properties: ["id", "subject", "to", "cc", "bcc", "preview"],
    }, "e"],
  ]).catch(() => null);
  if (!answers) return;
  const emails = new Map((answers.maybe<GetResult<Email>>("e")?.list ?? []).map((one) => [one.id, one]));
  scheduled.value = (answers.maybe<GetResult<EmailSubmission>>("g")?.list ?? [])
    .filter((one) => Date.parse(one.sendAt) > Date.now() + SOON_MS)
    .flatMap((one) => {
      const email = emails.get(one.emailId);
      return email ? [{ id: one.id, at: one.sendAt, submission: one, email }] : [];
    })
    .sort((a, b) => a.at.localeCompare(b.at));
}

/** Another time: the one that waits is called off, and the same message handed in anew. */
export async function reschedule({ id, submission, email }: Scheduled, at: Date): Promise<void> {
  const accountId = jmap().accountFor(SUBMISSION);
  try {
    const off = await jmap().call<SetResult<EmailSubmission>>("EmailSubmission/set", {
      accountId, update: { [id]: { undoStatus: "canceled" } },
    });
    if (off.notUpdated?.[id]) {
      say(t("too_late"), { error: true });
      return;
    }
    const hold = String(Math.max(1, Math.ceil((at.getTime() - Date.now()) / 1000)));
    const envelope = submission.envelope;
    const made = await jmap().call<SetResult<EmailSubmission>>("EmailSubmission/set", {
      accountId,
      create: { again: {
        identityId: submission.identityId, emailId: email.id,
        envelope: {
          mailFrom: { email: envelope?.mailFrom.email, parameters: { ...envelope?.mailFrom.parameters, HOLDFOR: hold } },
          rcptTo: envelope?.rcptTo,
        },
      } },
    }).catch(() => null);
    if (made?.created?.again) {
      say(t("scheduled_for", { time: mediumDate(at.toISOString()) }));
    } else {
      // Called off and not handed in: a draft again, so that it does not pass for sent.
      await takenBack(accountId, email.id);
      say(t("schedule_failed"), { error: true, ms: 12_000 });
    }
  } catch (error) {
    sayError("error_change", error);
  }
  await loadScheduled();
}

client.subscribe((now) => {
  if (!now) scheduled.value = [];
});
