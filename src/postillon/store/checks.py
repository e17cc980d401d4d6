"""What must hold between rows, as queries that name the places where it does not, and their mends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from postillon.store import mending, mending_others
from postillon.store.operation import WriteOperation

Mend = Callable[..., WriteOperation[Any]]  # Any: the columns of the check, integers or text


@dataclass(frozen=True, slots=True)
class Check:
    """One rule. The query gives a row for each place that breaks it; the mend takes that row."""

    kind: str  # counter, row
    problem: str
    sql: str
    mend: Mend | None = None
    area: str = ""  # what a place begins with, where it is no account


# A backup may have the email.
PLACEMENT_WITHOUT_EMAIL = Check(
    "row",
    "a placement has no email",
    "SELECT p.account, p.mailbox, p.uid FROM placement p WHERE p.account BETWEEN ? AND ?"
    " AND NOT EXISTS (SELECT 1 FROM email e WHERE e.account = p.account AND e.email = p.email)",
    mending.drop_placement,
)

# For each account apart. The arguments are the first and the last account of a piece, both included.
# What other checks build on comes first.
ACCOUNT_CHECKS: tuple[Check, ...] = (
    Check(
        "row",
        "an account has no INBOX",
        "SELECT a.account, 1 FROM account a WHERE a.account BETWEEN ? AND ? AND NOT EXISTS"
        " (SELECT 1 FROM mailbox m WHERE m.account = a.account AND m.mailbox = 1)"
        " AND EXISTS (SELECT 1 FROM principal p WHERE p.principal = a.account)",
        mending.make_mailbox_again,
    ),
    Check(
        "row",
        "a placement has no mailbox",
        "SELECT DISTINCT p.account, p.mailbox FROM placement p WHERE p.account BETWEEN ? AND ?"
        " AND NOT EXISTS"
        " (SELECT 1 FROM mailbox m WHERE m.account = p.account AND m.mailbox = p.mailbox)",
        mending.make_mailbox_again,
    ),
    Check(
        "row",
        "a mailbox hangs below none that can be reached",
        "WITH RECURSIVE near (account, mailbox, parent) AS ("
        " SELECT account, mailbox, parent FROM mailbox WHERE account BETWEEN ? AND ?),"
        " reached (account, mailbox) AS (SELECT account, mailbox FROM near WHERE parent <= 0"
        " UNION SELECT m.account, m.mailbox FROM reached r JOIN mailbox m"
        " ON m.account = r.account AND m.parent = r.mailbox)"
        " SELECT m.account, m.mailbox FROM near m WHERE NOT EXISTS (SELECT 1 FROM reached r"
        " WHERE r.account = m.account AND r.mailbox = m.mailbox)",
        mending.hang_at_the_top,
    ),
    Check(
        "row",
        "two mailboxes have one role",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND m.role IS NOT NULL AND EXISTS (SELECT 1 FROM mailbox o WHERE o.account = m.account"
        " AND o.role = m.role AND o.mailbox < m.mailbox)",
        mending.drop_role,
    ),
    Check(
        "row",
        "an email's size is not that of its octets",
        "SELECT e.account, e.email FROM email e WHERE e.account BETWEEN ? AND ?"
        " AND e.size <> length(e.prefix) + e.length",
        mending.set_size,
    ),
    PLACEMENT_WITHOUT_EMAIL,
    Check(
        "row",
        "an email is in no mailbox",
        "SELECT e.account, e.email FROM email e WHERE e.account BETWEEN ? AND ? AND NOT EXISTS"
        " (SELECT 1 FROM placement p WHERE p.account = e.account AND p.email = e.email)",
        mending.place_again,
    ),
    Check(
        "counter",
        "an account's octets or number of emails is wrong",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND (a.used, a.emails) <>"
        " (SELECT coalesce(sum(e.size), 0), count(*) FROM email e WHERE e.account = a.account)",
        mending.recount_account,
    ),
    Check(
        "counter",
        "a MODSEQ is beyond the account's",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND (a.modseq <"
        " (SELECT coalesce(max(c.modseq), 0) FROM change c WHERE c.account = a.account) OR a.modseq <"
        " (SELECT coalesce(max(m.modseq), 0) FROM mailbox m WHERE m.account = a.account)"
        " OR a.modseq < a.low_modseq OR a.modseq <"
        " (SELECT coalesce(max(p.modseq), 0) FROM placement p WHERE p.account = a.account))",
        mending.recount_account,
    ),
    Check(
        "counter",
        "an id is beyond the account's next one",
        "SELECT a.account FROM account a WHERE a.account BETWEEN ? AND ? AND (a.next_id <="
        " (SELECT coalesce(max(e.email), 0) FROM email e WHERE e.account = a.account)"
        " OR a.next_id <="
        " (SELECT coalesce(max(m.mailbox), 0) FROM mailbox m WHERE m.account = a.account)"
        " OR a.next_id <="
        " (SELECT coalesce(max(p.placement), 0) FROM placement p WHERE p.account = a.account))",
        mending.recount_account,
    ),
    Check(
        "counter",
        "a mailbox's counts are wrong",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND (m.total, m.unseen, m.deleted, m.octets) <> (SELECT count(*),"
        " coalesce(sum(1 - (p.flags & 1)), 0),"  # SEEN, then DELETED
        " coalesce(sum((p.flags & 8) / 8), 0), coalesce(sum(e.size), 0)"
        " FROM placement p JOIN email e ON e.account = p.account AND e.email = p.email"
        " WHERE p.account = m.account AND p.mailbox = m.mailbox)",
        mending.recount_mailbox,
    ),
    Check(
        "counter",
        "the next UID of a mailbox has been given already",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND (m.uid_next <= (SELECT coalesce(max(p.uid), 0) FROM placement p"
        " WHERE p.account = m.account AND p.mailbox = m.mailbox) OR m.recent_uid > m.uid_next)",
        mending.recount_mailbox,
    ),
    Check(
        "counter",
        "a mailbox's MODSEQ is below that of an email in it",
        "SELECT m.account, m.mailbox FROM mailbox m WHERE m.account BETWEEN ? AND ?"
        " AND m.modseq < (SELECT coalesce(max(p.modseq), 0) FROM placement p"
        " WHERE p.account = m.account AND p.mailbox = m.mailbox)",
        mending.recount_mailbox,
    ),
)

# Of these, rows alone do not show that there was an account.
_OF_ACCOUNTS = (
    "thread_key", "item", "upload", "change", "subscription", "imported", "annotation", "granted",
    "url_key",
)  # fmt: skip


def _ownerless(table: str) -> Check:
    """Rows of accounts that are not there. One probe of the index for each account."""
    owner = f"SELECT 1 FROM account a WHERE a.account = {table}.account"  # noqa: S608 - a constant
    return Check(
        "row",
        f"rows of {table} belong to no account",
        f"WITH RECURSIVE {table}_of (account) AS (SELECT min(account) FROM {table} UNION ALL"  # noqa: S608
        f" SELECT (SELECT min(t.account) FROM {table} t WHERE t.account > o.account)"
        f" FROM {table}_of o WHERE o.account IS NOT NULL) SELECT o.account FROM {table}_of o"
        " WHERE o.account IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM account a WHERE a.account = o.account)",
        mending_others.drop(table, "account", owner=owner),
    )


# For the whole store; no arguments. Rows of accounts whose own row is gone come first.
STORE_CHECKS: tuple[Check, ...] = (
    Check(
        "row",
        "an account's own row is not there",
        "SELECT account FROM (SELECT account FROM mailbox UNION SELECT account FROM email"
        " UNION SELECT account FROM placement) AS held WHERE NOT EXISTS"
        " (SELECT 1 FROM account a WHERE a.account = held.account)",
        mending.make_account_again,
    ),
    *map(_ownerless, _OF_ACCOUNTS),
    Check(
        "row",
        "an address is in a domain that is not there",
        "SELECT DISTINCT a.domain FROM address a WHERE NOT EXISTS"
        " (SELECT 1 FROM domain d WHERE d.domain = a.domain)",
        mending_others.make_domain_again,
        area="directory/",
    ),
    Check(
        "row",
        "an address leads to a principal that is not there",
        "SELECT DISTINCT a.principal FROM address a WHERE a.principal IS NOT NULL AND NOT EXISTS"
        " (SELECT 1 FROM principal p WHERE p.principal = a.principal)",
        mending_others.make_principal_again,
        area="directory/",
    ),
    Check(
        "row",
        "a person has no account",
        "SELECT p.principal FROM principal p WHERE p.kind IN ('person', 'shared') AND NOT EXISTS"
        " (SELECT 1 FROM account a WHERE a.account = p.principal)",
        mending.make_account_again,
        area="directory/",
    ),
    Check(
        "row",
        "a password belongs to nobody",
        "SELECT c.principal, c.credential FROM credential c WHERE NOT EXISTS"
        " (SELECT 1 FROM principal p WHERE p.principal = c.principal)",
        mending_others.drop(
            "credential",
            "principal",
            "credential",
            owner="SELECT 1 FROM principal p WHERE p.principal = credential.principal",
        ),
        area="directory/",
    ),
    Check(
        "row",
        "a member belongs to no group",
        "SELECT g.principal, g.member FROM group_member g WHERE NOT EXISTS"
        " (SELECT 1 FROM principal p WHERE p.principal = g.principal)",
        mending_others.drop(
            "group_member",
            "principal",
            "member",
            owner="SELECT 1 FROM principal p WHERE p.principal = group_member.principal",
        ),
        area="directory/",
    ),
    Check(
        "row",
        "a target belongs to no alias",
        "SELECT t.domain, t.local, t.target FROM alias_target t WHERE NOT EXISTS"
        " (SELECT 1 FROM address a WHERE a.domain = t.domain AND a.local = t.local)",
        mending_others.drop(
            "alias_target",
            "domain",
            "local",
            "target",
            owner="SELECT 1 FROM address a WHERE a.domain = alias_target.domain"
            " AND a.local = alias_target.local",
        ),
        area="directory/",
    ),
    Check(
        "counter",
        "an id of a principal would be given again",
        "SELECT max(principal) FROM principal HAVING max(principal) >"
        " coalesce((SELECT value FROM counter WHERE name = 'principal'), 0)",
        lambda _: mending_others.advance_counter("principal", "principal"),
        area="directory/",
    ),
    Check(
        "counter",
        "an id of a domain would be given again",
        "SELECT max(domain) FROM domain HAVING max(domain) >"
        " coalesce((SELECT value FROM counter WHERE name = 'domain'), 0)",
        lambda _: mending_others.advance_counter("domain", "domain"),
        area="directory/",
    ),
    Check(
        "counter",
        "the number of a pack would be given again",
        "SELECT max(pack) FROM pack HAVING max(pack) >"
        " coalesce((SELECT value FROM counter WHERE name = 'pack'), 0)",
        lambda _: mending_others.advance_counter("pack", "pack"),
        area="pack/",
    ),
    Check(
        "row",
        "a queued recipient has no message",
        "SELECT r.queue_id, r.n FROM queue_recipient r WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_message m WHERE m.queue_id = r.queue_id)",
        mending_others.drop(
            "queue_recipient",
            "queue_id",
            "n",
            owner="SELECT 1 FROM queue_message m WHERE m.queue_id = queue_recipient.queue_id",
        ),
        area="queue/",
    ),
    Check(
        "row",
        "an attempt belongs to no queued message",
        "SELECT t.queue_id, t.n, t.attempt FROM queue_attempt t WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_message m WHERE m.queue_id = t.queue_id)",
        mending_others.drop(
            "queue_attempt",
            "queue_id",
            "n",
            "attempt",
            owner="SELECT 1 FROM queue_message m WHERE m.queue_id = queue_attempt.queue_id",
        ),
        area="queue/",
    ),
    Check(
        "row",
        "a queued message has no recipient: see postillon trace",
        "SELECT m.queue_id FROM queue_message m WHERE NOT EXISTS"
        " (SELECT 1 FROM queue_recipient r WHERE r.queue_id = m.queue_id)",
        area="queue/",
    ),
)
