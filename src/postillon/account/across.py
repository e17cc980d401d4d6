"""Copying and moving emails from one account into another, in one transaction.

A copy lies on the same blob and counts against the quota of the account it comes into. It is a new
email there, in a thread of that account; a move removes the old one and so does not keep its id.
"""

from __future__ import annotations

from postillon.account import transfer
from postillon.account.changes import Kind, record
from postillon.account.counters import add, charge, require_mailbox
from postillon.account.ids import AccountId, EmailId, MailboxId, Uid
from postillon.account.keywords import DELETED, SEEN
from postillon.account.ranges import Ranges, select_in, tables
from postillon.account.rights import Right, settable
from postillon.account.threads import join_thread
from postillon.account.transfer import CopyResult
from postillon.mail import digest
from postillon.store.operation import Row, Steps, Tx

Place = tuple[AccountId, MailboxId]

_JOIN = "JOIN email e ON e.account = p.account AND e.email = p.email"
_COPIED = (
    "pack, start, length, size, digest, prefix, received_at, sent_at, header, structure, preview,"
    " queue_id, envelope, bodystructure"
)


def copy(tx: Tx, source: Place, ranges: Ranges, target: Place, rights: Right) -> Steps[CopyResult]:
    """Copy emails into a mailbox of another account: all of them or none.

    rights: at the target; flags that they do not cover are not copied.
    Raises MailboxNotFound for either mailbox, or OverQuota of the target's account.
    """
    rows = yield from _rows(source, ranges)
    return (yield from _copy(tx, source, rows, target, rights))


def move(tx: Tx, source: Place, ranges: Ranges, target: Place, rights: Right) -> Steps[CopyResult]:
    """Copy, and remove what was copied. Raises as `copy`."""
    rows = yield from _rows(source, ranges)
    result = yield from _copy(tx, source, rows, target, rights)
    if rows:
        yield from transfer.remove(tx, *source, [row[:5] for row in rows])
    return result


def _rows(source: Place, ranges: Ranges) -> Steps[list[Row]]:
    return (
        yield from select_in(
            "p.uid, p.email, p.flags, e.size, e.thread, e.header", _JOIN, *source, ranges
        )
    )


def _copy(
    tx: Tx, source: Place, rows: list[Row], target: Place, rights: Right
) -> Steps[CopyResult]:
    yield from require_mailbox(*source)
    yield from require_mailbox(*target)
    account, mailbox = target
    if not rows:
        found = yield (
            "SELECT uid_validity FROM mailbox WHERE account = ? AND mailbox = ?",
            (account, mailbox),
        )
        return CopyResult(found[0][0], [], None)
    kept = settable(rights)
    octets = sum(row[3] for row in rows)
    modseq, first_id = yield from charge(account, len(rows), octets)
    first_uid, uid_validity = yield from add(
        account,
        mailbox,
        modseq,
        total=len(rows),
        unseen=sum(1 for row in rows if not row[2] & kept & SEEN),
        deleted=sum(1 for row in rows if row[2] & kept & DELETED),
        octets=octets,
        uids=len(rows),
    )
    new = []  # old UID, old email, UID, email, thread
    for n, row in enumerate(rows):
        email = EmailId(first_id + n)
        keys = digest.thread_keys(digest.unpack(row[5]))
        thread = yield from join_thread(account, email, keys)
        new.append((row[0], row[1], first_uid + n, email, thread))
    keywords = "p.keywords" if Right.WRITE in rights else "NULL"
    for values, parameters in tables(new):
        taken = f"WITH r (place, old, uid, email, thread) AS (VALUES {values}) INSERT INTO"
        yield (
            f"{taken} email (account, email, thread, {_COPIED}, created, content_changed,"  # noqa: S608
            f" seen_changed) SELECT CAST(? AS bigint), r.email, r.thread, {_COPIED}, ?, ?, ?"
            " FROM r CROSS JOIN email e WHERE e.account = ? AND e.email = r.old",
            (*parameters, account, modseq, modseq, modseq, source[0]),
        )
        yield (
            f"{taken} placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"  # noqa: S608
            " created, saved_at) SELECT CAST(? AS bigint), ?, r.uid, r.email, r.email,"
            f" p.flags & {kept}, {keywords}, ?, ?, ? FROM r CROSS JOIN placement p"
            " WHERE p.account = ? AND p.mailbox = ? AND p.uid = r.place",
            (*parameters, account, mailbox, modseq, modseq, tx.now, *source),
        )
    yield from record(tx, account, modseq, ((Kind.CREATED, mailbox, row[2], row[3]) for row in new))
    pairs = [(Uid(row[0]), Uid(row[2])) for row in new]
    return CopyResult(uid_validity, pairs, modseq)
