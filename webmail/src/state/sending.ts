/** Handing a message to the server to be sent, asking what became of it, taking it back. */

import { mediumDate, t } from "../i18n";
import { SUBMISSION, type Call } from "../jmap/client";
import type { Email, EmailSubmission, GetResult, Id, QueryResult, SetResult } from "../jmap/types";
import { unique } from "../lib/address";
import { editDraft } from "./answering";
import { jmap, mailAccount, preferences, say, sayError } from "./app";
import type { Composer } from "./compose";
import { refresh } from "./list";
import { byRole } from "./mail";
import { remember } from "./people";

const LOOK_BACK_MS = 7 * 86_400_000;

/** A header field of drafts, which one save alone has written: by it a save is known whose answer was lost. */
export const VERSION = "header:X-Draft-Version:asText";

export type Whereabouts = Pick<Email, "id" | "mailboxIds" | "keywords" | typeof VERSION>;

/** The messages with this Message-ID that have come into the account lately: drafts of it, or it was sent. */
export async function whereabouts(accountId: Id, messageId: string): Promise<Whereabouts[]> {
  const after = new Date(Date.now() - LOOK_BACK_MS).toISOString().replace(/\.\d+Z$/, "Z");
  const answers = await jmap().request([
    ["Email/query", {
      accountId, filter: { operator: "AND", conditions: [{ after }, { header: ["Message-ID", messageId] }] },
      sort: [{ property: "receivedAt", isAscending: false }], limit: 10,
    }, "q"],
    ["Email/get", {
      accountId, "#ids": { resultOf: "q", name: "Email/query", path: "/ids" }, properties: ["id", "mailboxIds", "keywords", VERSION],
    }, "g"],
  ]);
  if (!answers.maybe<QueryResult>("q")) return []; // a server that does not look into headers
  const trash = byRole.value.get("trash")?.id ?? "";
  return answers.get<GetResult<Whereabouts>>("g").list.filter((one) => !one.mailboxIds[trash]);
}

/** Seconds that the server can hold a message back (RFC 8621 section 1.3.2). */
export function maxDelay(): number {
  const found = jmap().account(jmap().accountFor(SUBMISSION))?.accountCapabilities[SUBMISSION]?.maxDelayedSend;
  return typeof found === "number" ? found : 0;
}

/** The answer to an earlier try was lost: has it been sent all the same? What is only a draft is taken over. */
async function sentBefore(one: Composer): Promise<boolean> {
  const found = await whereabouts(one.account, one.messageId);
  if (!found.length) return false;
  const answers = await jmap().request([
    ["EmailSubmission/query", { accountId: one.account, filter: { emailIds: found.map(({ id }) => id) } }, "q"],
    ["EmailSubmission/get", {
      accountId: one.account, "#ids": { resultOf: "q", name: "EmailSubmission/query", path: "/ids" },
    }, "g"],
  ]);
  const list = answers.get<GetResult<EmailSubmission>>("g").list;
  if (list.some((sub) => sub.undoStatus !== "canceled")) return true;
  one.stored = found.find((email) => email.keywords.$draft)?.id ?? one.stored;
  return false;
}

/** at: not before; null: now, with a few seconds to take it back. Throws what keeps it from being sent. */
export async function submit(one: Composer, at: Date | null): Promise<void> {
  if (one.tried && (await sentBefore(one))) {
    say(t("sent"));
    void refresh();
    return;
  }
  const from = one.from;
  if (!from) throw one.refused({ type: "", description: t("no_identity") });
  const drafts = one.place("drafts");
  const sent = one.place("sent");
  const first = drafts ?? sent;
  if (!first) throw one.refused({ type: "", description: t("no_such_mailbox", { name: t("role_sent") }) });
  const { account: accountId } = one;
  const later = at && at.getTime() > Date.now() + 1000 ? at : null;
  const hold = later ? Math.max(1, Math.ceil((later.getTime() - Date.now()) / 1000)) : preferences.value.undoSeconds;
  const delay = Math.min(hold, maxDelay());
  const everybody = unique([...one.to.value, ...one.cc.value, ...one.bcc.value, ...(from.bcc ?? [])]);
  const toSent: Record<string, unknown> = { "keywords/$draft": null };
  if (sent && sent.id !== first.id) Object.assign(toSent, { [`mailboxIds/${first.id}`]: null, [`mailboxIds/${sent.id}`]: true });
  const calls: Call[] = [
    ["Email/set", {
      accountId, create: { draft: one.email({ [first.id]: true }) }, ...(one.stored ? { destroy: [one.stored] } : {}),
    }, "email"],
    ["EmailSubmission/set", {
      accountId,
      create: { sub: {
        identityId: from.id, emailId: "#draft",
        envelope: {
          mailFrom: { email: from.email, parameters: delay > 0 ? { HOLDFOR: String(delay) } : null },
          rcptTo: everybody.map(({ email }) => ({ email, parameters: null })),
        },
      } },
      onSuccessUpdateEmail: { "#sub": toSent },
    }, "submission"],
  ];
  if (one.answers) {
    calls.push(["Email/set", {
      accountId: mailAccount.value, update: { [one.answers.id]: { [`keywords/${one.answers.keyword}`]: true } },
    }, "answered"]);
  }
  one.tried = true;
  one.keep();
  const answers = await jmap().request(calls);
  one.tried = false;
  const made = answers.get<SetResult<{ id: Id }>>("email");
  const email = made.created?.draft;
  one.stored = email?.id ?? (one.stored && made.notDestroyed?.[one.stored] ? one.stored : null);
  if (!email) throw one.refused(made.notCreated?.draft);
  const sending = answers.get<SetResult<{ id: Id }>>("submission");
  const found = sending.created?.sub;
  if (!found) throw one.refused(sending.notCreated?.sub);
  remember(everybody);
  void refresh();
  const undo = delay > 0 ? { action: { label: t("undo"), run: () => void cancelSubmission(found.id, email.id, true) } } : {};
  const seconds = Math.max(1, delay - 1) * 1000;
  if (later) say(t("scheduled_for", { time: mediumDate(later.toISOString()) }), undo);
  else say(t("sent"), { ...undo, ms: delay > 0 ? seconds : 4000 });
}

/** A draft again, where drafts lie. */
export async function takenBack(accountId: Id, email: Id): Promise<void> {
  const drafts = byRole.value.get("drafts");
  const patch: Record<string, unknown> = { "keywords/$draft": true };
  if (drafts) patch.mailboxIds = { [drafts.id]: true };
  await jmap().call("Email/set", { accountId, update: { [email]: patch } });
}

/** Takes a message back that waits to be sent, and makes a draft of it again. */
export async function cancelSubmission(id: Id, email: Id, edit: boolean): Promise<void> {
  const accountId = jmap().accountFor(SUBMISSION);
  try {
    const result = await jmap().call<SetResult<EmailSubmission>>("EmailSubmission/set", {
      accountId, update: { [id]: { undoStatus: "canceled" } },
    });
    if (result.notUpdated?.[id]) {
      say(t("too_late"), { error: true });
      return;
    }
    await takenBack(accountId, email);
    say(t("sending_undone"));
    void refresh();
    if (edit) await editDraft(email);
  } catch (error) {
    sayError("error_change", error);
  }
}
