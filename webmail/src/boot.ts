/**
 * Stands in the head of the page and asks for the first list while everything else is still on its way:
 * who is signed in, where their mail is, their mailboxes, the rows. The client takes the answers (`early`).
 */

import { asOurs, bodyOf, inboxOf, listCalls, MAIL, mailboxCalls, OWN_SESSION, PAGE, sorted, stateCalls, type Call } from "./jmap/first";
import type { GetResult, Id, Mailbox, Session } from "./jmap/types";
import { ahead, begin, token } from "./lib/ahead";
import { stored } from "./lib/dom";

interface Answered { methodResponses: [string, unknown, string][] }

async function first(): Promise<void> {
  const at = location.hash.split("/");
  const given = await token();
  if (!given.token) return;
  const ask = (session: Session, calls: Call[]) => ahead<Answered>("POST", session.apiUrl, bodyOf(session, calls), given.token);

  const rows = (session: Session, accountId: Id, mailboxes: Mailbox[]) => {
    if (at[1] === "search") return;
    const mailbox = mailboxes.find((one) => one.id === at[1]) ?? inboxOf(mailboxes);
    if (!mailbox) return;
    const collapsed = stored("preferences", { conversations: true }).conversations !== false;
    const asked = { accountId, filter: { inMailbox: mailbox.id }, collapsed, window: { position: 0 }, limit: PAGE };
    void ask(session, [...listCalls(asked), ...stateCalls(accountId)]);
  };

  const before = stored<Session | null>("session", null);
  const known = stored<Mailbox[]>("mailboxes", []);
  const again = before && known.length > 0 && before.username === given.login;
  if (again) rows(before, before.primaryAccounts[MAIL] ?? "", known);
  const asked = ahead<Session>("GET", OWN_SESSION, "", given.token);
  const session = again ? null : await asked;
  if (!session) return;
  const accountId = session.primaryAccounts[MAIL] ?? "";
  const answer = await ask(asOurs(session), mailboxCalls(accountId));
  const found = answer?.methodResponses[0]?.[1] as GetResult<Mailbox> | undefined;
  if (found?.list) rows(session, accountId, sorted(found.list));
}

if (!new URLSearchParams(location.search).has("server")) begin(first);
