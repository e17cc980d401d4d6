"""The beginning and the end of an account's data."""

from __future__ import annotations

from postillon.account.errors import AccountNotFound
from postillon.account.hierarchy import insert
from postillon.account.ids import AccountId, MailboxId
from postillon.account.mailboxes import DOOMED, TOP, MailboxKind
from postillon.account.roles import DEFAULT_MAILBOXES
from postillon.store.operation import Steps, Tx

ERASE = 1_000  # rows of one table removed in one operation

# In this order a half-erased account stays consistent: nothing points to what is gone.
_TABLES = (
    "placement",
    "email",
    "thread_key",
    "item",
    "upload",
    "change",
    "subscription",
    "annotation",
    "granted",
    "url_key",
    "imported",
    "identity",
    "submission",
    "vacation",
    "vacation_answer",
    "mail_rule",
    "share_notice",
    "mailbox",
)
_KEYS = {
    "placement": "mailbox, uid", "email": "email", "thread_key": "key", "item": "item",
    "upload": "upload", "change": "modseq, n", "subscription": "path",
    "annotation": "mailbox, entry", "granted": "mailbox, grantee", "url_key": "mailbox, holder",
    "imported": "mark",
    "identity": "identity", "submission": "submission", "vacation": "account",
    "vacation_answer": "sender", "mail_rule": "rule", "share_notice": "notice",
    "mailbox": "mailbox",
}  # fmt: skip


def set_up(tx: Tx, account: AccountId, quota: int | None = None) -> Steps[None]:
    """The row of a new account and its mailboxes. quota: octets; None is unlimited.

    Ids begin after those of the default mailboxes; the first MODSEQ is 1 and theirs.
    """
    modseq = 1
    epoch = tx.now // 1000
    yield (
        "INSERT INTO account (account, epoch, modseq, next_id, low_modseq, quota, used, emails,"
        " indexed_modseq) VALUES (?, ?, ?, ?, 0, ?, 0, 0, 0)",
        (account, epoch, modseq, len(DEFAULT_MAILBOXES) + 1, quota),
    )
    for number, (name, role) in enumerate(DEFAULT_MAILBOXES, 1):
        yield from insert(
            account, MailboxId(number), TOP, name, role, MailboxKind.MAIL, epoch, modseq
        )
    tx.changed(account, modseq)


def set_quota(account: AccountId, quota: int | None) -> Steps[None]:
    """May be less than is used: then nothing more comes in. Raises AccountNotFound."""
    rows = yield (
        "UPDATE account SET quota = ? WHERE account = ? RETURNING account",
        (quota, account),
    )
    if not rows:
        raise AccountNotFound(account)


def erase(account: AccountId, limit: int = ERASE) -> Steps[bool]:
    """Remove some of an account's rows. Returns whether there is more to do; the last is its own."""
    for table in _TABLES:
        keys = _KEYS[table]
        gone = yield (
            f"DELETE FROM {table} WHERE account = ? AND ({keys}) IN (SELECT {keys} FROM {table}"  # noqa: S608
            f" WHERE account = ? LIMIT ?) RETURNING account",
            (account, account, limit),
        )
        if gone:
            return True
    yield ("DELETE FROM account WHERE account = ?", (account,))
    return False


def abandoned() -> Steps[list[AccountId]]:
    """Accounts whose principal was removed and whose data is still there, after a crash."""
    rows = yield (
        "SELECT account FROM account WHERE NOT EXISTS"
        " (SELECT 1 FROM principal WHERE principal.principal = account.account)"
        " ORDER BY account LIMIT 100",
        (),
    )
    return [account for (account,) in rows]


def needing_care(before: int) -> Steps[list[tuple[AccountId, bool, bool]]]:
    """Accounts with deleted mailboxes to empty, or with a change older than `before` (ms).

    One index probe each; for the maintenance process.
    """
    rows = yield (
        "SELECT account, doomed, old FROM (SELECT a.account AS account, EXISTS (SELECT 1 FROM mailbox m"
        " WHERE m.account = a.account AND m.parent = ?) AS doomed, coalesce((SELECT c.at FROM change c"
        " WHERE c.account = a.account ORDER BY c.modseq, c.n LIMIT 1) < ?, 1 = 0) AS old"
        " FROM account a) AS state WHERE doomed OR old ORDER BY account",
        (DOOMED, before),
    )
    return [(AccountId(row[0]), bool(row[1]), bool(row[2])) for row in rows]
