"""The counters of an account and its mailboxes, which every change moves in its own transaction."""

from __future__ import annotations

from postillon.account.errors import AccountNotFound, MailboxNotFound, OverQuota
from postillon.account.ids import AccountId, MailboxId, ModSeq
from postillon.store.operation import Steps


def next_modseq(account: AccountId, ids: int = 0) -> Steps[tuple[ModSeq, int]]:
    """The MODSEQ of this change, and the first of `ids` new ids. Raises AccountNotFound."""
    rows = yield (
        "UPDATE account SET modseq = modseq + 1, next_id = next_id + ? WHERE account = ?"
        " RETURNING modseq, next_id",
        (ids, account),
    )
    if not rows:
        raise AccountNotFound(account)
    return ModSeq(rows[0][0]), rows[0][1] - ids


def charge(account: AccountId, emails: int, octets: int) -> Steps[tuple[ModSeq, int]]:
    """As `next_modseq`, for new emails with one id each. Raises OverQuota or AccountNotFound."""
    rows = yield (
        "UPDATE account SET modseq = modseq + 1, next_id = next_id + ?, used = used + ?,"
        " emails = emails + ? WHERE account = ? AND (quota IS NULL OR used + ? <= quota)"
        " RETURNING modseq, next_id",
        (emails, octets, emails, account, octets),
    )
    if not rows:
        yield from refuse(account, octets)
    return ModSeq(rows[0][0]), rows[0][1] - emails


def refuse(account: AccountId, octets: int) -> Steps[None]:
    """Raise the reason why an account could not be charged."""
    rows = yield ("SELECT used, quota FROM account WHERE account = ?", (account,))
    if not rows:
        raise AccountNotFound(account)
    raise OverQuota(rows[0][0], rows[0][1], octets)


def add(
    account: AccountId,
    mailbox: MailboxId,
    modseq: int,
    *,
    total: int,
    unseen: int,
    deleted: int,
    octets: int,
    uids: int = 0,
) -> Steps[tuple[int, int]]:
    """Move the counters of a mailbox. Returns the first of `uids` new UIDs, and UIDVALIDITY.

    Raises MailboxNotFound, also for one that takes no mail.
    """
    rows = yield (
        "UPDATE mailbox SET uid_next = uid_next + ?, total = total + ?, unseen = unseen + ?,"
        " deleted = deleted + ?, octets = octets + ?, modseq = ?"
        " WHERE account = ? AND mailbox = ? AND kind = 0 RETURNING uid_next, uid_validity",
        (uids, total, unseen, deleted, octets, modseq, account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
    return rows[0][0] - uids, rows[0][1]


def require_mailbox(account: AccountId, mailbox: MailboxId) -> Steps[None]:
    """Raise MailboxNotFound unless it is there and can hold mail."""
    rows = yield (
        "SELECT 1 FROM mailbox WHERE account = ? AND mailbox = ? AND kind = 0 AND parent >= 0",
        (account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
