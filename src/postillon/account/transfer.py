"""Copying, moving and removing emails. Each is one change of the account, with one MODSEQ."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.account.changes import Kind, Record, record, tombstone
from postillon.account.counters import add, charge, next_modseq, require_mailbox
from postillon.account.errors import EmailGone
from postillon.account.ids import AccountId, MailboxId, ModSeq, Uid
from postillon.account.keywords import DELETED, SEEN
from postillon.account.ranges import (
    EVERYTHING,
    Ranges,
    lists,
    select_emails,
    select_in,
    tables,
)
from postillon.account.rights import ALL, Right, settable
from postillon.store.operation import Row, Steps, Tx


class CopyResult(msgspec.Struct, frozen=True):
    """Where copied or moved emails went (RFC 4315): pairs of UIDs, ascending in both."""

    uid_validity: int  # of the target
    pairs: list[tuple[Uid, Uid]]
    modseq: ModSeq | None  # None when no email was there


_FACTS = "p.uid, p.email, p.flags, e.size, e.thread"
_JOIN = "JOIN email e ON e.account = p.account AND e.email = p.email"
_COPIED = (
    "thread, pack, start, length, size, digest, prefix, received_at, sent_at, header, structure,"
    " preview, queue_id, envelope, bodystructure"
)


def copy(
    tx: Tx,
    account: AccountId,
    mailbox: MailboxId,
    ranges: Ranges,
    target: MailboxId,
    rights: Right = ALL,
) -> Steps[CopyResult]:
    """Copy emails with their flags and dates: all of them or none (RFC 9051 section 6.4.7).

    A copy is a new email on the same blob and counts against the quota. rights: at the target; flags
    that they do not cover are not copied (RFC 4314 section 4).
    Raises MailboxNotFound for either mailbox, or OverQuota.
    """
    rows = yield from select_in(_FACTS, _JOIN, account, mailbox, ranges)
    if not rows:
        return (yield from _nothing(account, mailbox, target))
    modseq, first_id = yield from charge(account, len(rows), sum(row[3] for row in rows))
    first_uid, uid_validity = yield from _arrive(account, target, modseq, rows, rights)
    new = [
        (row[0], first_uid + n, first_id + n, first_id + n, row[1]) for n, row in enumerate(rows)
    ]
    for values, parameters in tables([(row[4], row[2]) for row in new]):
        yield (
            f"WITH r (old, new) AS (VALUES {values}) INSERT INTO email (account, email, {_COPIED},"  # noqa: S608
            f" created, content_changed, seen_changed) SELECT account, r.new, {_COPIED}, ?, ?, ?"
            " FROM r CROSS JOIN email e WHERE e.account = ? AND e.email = r.old",
            (*parameters, modseq, modseq, modseq, account),
        )
    yield from _insert(tx, account, mailbox, target, modseq, [row[:4] for row in new], rights)
    yield from record(tx, account, modseq, ((Kind.CREATED, target, row[1], row[2]) for row in new))
    return CopyResult(uid_validity, [(Uid(row[0]), Uid(row[1])) for row in new], modseq)


def move(
    tx: Tx,
    account: AccountId,
    mailbox: MailboxId,
    ranges: Ranges,
    target: MailboxId,
    rights: Right = ALL,
) -> Steps[CopyResult]:
    """Move emails: the same emails under new placements (RFC 6851). Also within one mailbox.

    One that is in the target already comes to stand there anew: never twice in one mailbox.
    rights: as for `copy`. Raises MailboxNotFound for either mailbox.
    """
    rows = yield from select_in(_FACTS, _JOIN, account, mailbox, ranges)
    if not rows:
        return (yield from _nothing(account, mailbox, target))
    modseq, first_id = yield from next_modseq(account, len(rows))
    there: list[Row] = []
    if target != mailbox:
        there = yield from placed_in(account, target, [row[1] for row in rows])
    first_uid, uid_validity = yield from _arrive(account, target, modseq, rows, rights)
    new = [(row[0], first_uid + n, row[1], first_id + n) for n, row in enumerate(rows)]
    yield from _insert(tx, account, mailbox, target, modseq, new, rights)
    yield from _leave(account, mailbox, modseq, rows)
    gone = _tombstones(Kind.MOVED, mailbox, rows)
    if there:
        yield from _leave(account, target, modseq, there)
        gone += _tombstones(Kind.MOVED, target, there)
    come = [(Kind.CREATED, target, row[1], row[2]) for row in new]
    yield from record(tx, account, modseq, [*gone, *come])
    return CopyResult(uid_validity, [(Uid(row[0]), Uid(row[1])) for row in new], modseq)


def placed_in(account: AccountId, mailbox: MailboxId, emails: Sequence[int]) -> Steps[list[Row]]:
    """(uid, email, flags, size, thread) of those of these emails that are in a mailbox."""
    return (yield from select_emails(_FACTS, account, emails, _JOIN, "+k.mailbox = ?", mailbox))


def expunge(
    tx: Tx, account: AccountId, mailbox: MailboxId, ranges: Ranges | None = None
) -> Steps[list[Uid]]:
    """Remove the emails with \\Deleted, in these UIDs or (None) in all. Returns UIDs, ascending.

    Raises MailboxNotFound.
    """
    rows = yield from select_in(
        _FACTS, _JOIN, account, mailbox, EVERYTHING if ranges is None else ranges,
        f"p.flags & {DELETED} <> 0",
    )  # fmt: skip
    if not rows:
        yield from require_mailbox(account, mailbox)
        return []
    yield from remove(tx, account, mailbox, rows)
    return [Uid(row[0]) for row in rows]


def discard(tx: Tx, account: AccountId, mailbox: MailboxId, uid: Uid) -> Steps[None]:
    """Remove one email whatever its flags. Raises EmailGone."""
    rows = yield from select_in(_FACTS, _JOIN, account, mailbox, ((uid, uid),))
    if not rows:
        raise EmailGone(uid)
    yield from remove(tx, account, mailbox, rows)


def empty(tx: Tx, account: AccountId, mailbox: MailboxId, limit: int) -> Steps[int]:
    """Remove emails whatever their flags, at most `limit`. Returns how many; 0 when it is empty."""
    rows = yield (
        f"SELECT {_FACTS} FROM placement p {_JOIN} WHERE p.account = ? AND p.mailbox = ?"  # noqa: S608
        " ORDER BY p.uid LIMIT ?",
        (account, mailbox, limit),
    )
    if rows:
        yield from remove(tx, account, mailbox, rows)
    return len(rows)


def remove(tx: Tx, account: AccountId, mailbox: MailboxId, rows: Sequence[Row]) -> Steps[None]:
    """Remove placements given as (uid, email, flags, size, thread), and emails that had no other."""
    for marks, uids in lists([row[0] for row in rows]):
        yield (
            f"DELETE FROM placement WHERE account = ? AND mailbox = ? AND uid IN ({marks})",  # noqa: S608
            (account, mailbox, *uids),
        )
    freed: list[int] = []  # sizes of emails
    for marks, emails in lists([row[1] for row in rows]):
        gone = yield (
            f"DELETE FROM email WHERE account = ? AND email IN ({marks}) AND NOT EXISTS"  # noqa: S608
            " (SELECT 1 FROM placement p WHERE p.account = email.account AND p.email = email.email)"
            " RETURNING size",
            (account, *emails),
        )
        freed += [size for (size,) in gone]
    changed = yield (
        "UPDATE account SET modseq = modseq + 1, used = used - ?, emails = emails - ?"
        " WHERE account = ? RETURNING modseq",
        (sum(freed), len(freed), account),
    )
    [(modseq,)] = changed
    yield from _count(account, mailbox, modseq, rows, -1)
    yield from record(tx, account, modseq, _tombstones(Kind.DELETED, mailbox, rows))


def _tombstones(kind: Kind, mailbox: MailboxId, rows: Sequence[Row]) -> list[Record]:
    """rows: (uid, email, flags, size, thread)."""
    return [
        tombstone(kind, mailbox, uid, email, flags, thread) for uid, email, flags, _, thread in rows
    ]


def _nothing(account: AccountId, mailbox: MailboxId, target: MailboxId) -> Steps[CopyResult]:
    yield from require_mailbox(account, mailbox)
    yield from require_mailbox(account, target)
    rows = yield (
        "SELECT uid_validity FROM mailbox WHERE account = ? AND mailbox = ?",
        (account, target),
    )
    return CopyResult(rows[0][0], [], None)


def _arrive(
    account: AccountId, target: MailboxId, modseq: int, rows: Sequence[Row], rights: Right
) -> Steps[tuple[int, int]]:
    """Count the emails into the target. Returns the first new UID, and UIDVALIDITY."""
    yield from require_mailbox(account, target)
    kept = settable(rights)
    arriving = [(row[0], row[1], row[2] & kept, row[3]) for row in rows]
    return (yield from _count(account, target, modseq, arriving, 1))


def _count(
    account: AccountId, mailbox: MailboxId, modseq: int, rows: Sequence[Row], sign: int
) -> Steps[tuple[int, int]]:
    return (
        yield from add(
            account,
            mailbox,
            modseq,
            total=sign * len(rows),
            unseen=sign * sum(1 for row in rows if not row[2] & SEEN),
            deleted=sign * sum(1 for row in rows if row[2] & DELETED),
            octets=sign * sum(row[3] for row in rows),
            uids=len(rows) if sign > 0 else 0,
        )
    )


def _leave(account: AccountId, mailbox: MailboxId, modseq: int, rows: Sequence[Row]) -> Steps[None]:
    for marks, uids in lists([row[0] for row in rows]):
        yield (
            f"DELETE FROM placement WHERE account = ? AND mailbox = ? AND uid IN ({marks})",  # noqa: S608
            (account, mailbox, *uids),
        )
    yield from _count(account, mailbox, modseq, rows, -1)


def _insert(
    tx: Tx,
    account: AccountId,
    mailbox: MailboxId,
    target: MailboxId,
    modseq: int,
    new: Sequence[tuple[int, int, int, int]],
    rights: Right,
) -> Steps[None]:
    """New placements, given as (source UID, UID, email, placement), with the flags of the source."""
    keywords = "p.keywords" if Right.WRITE in rights else "NULL"
    for values, parameters in tables(new):
        yield (
            f"WITH r (source, uid, email, placement) AS (VALUES {values}) INSERT INTO placement"  # noqa: S608
            " (account, mailbox, uid, email, placement, flags, keywords, modseq, created, saved_at)"
            f" SELECT p.account, ?, r.uid, r.email, r.placement, p.flags & {settable(rights)},"
            f" {keywords}, ?, ?, ?"
            " FROM r CROSS JOIN placement p"
            " WHERE p.account = ? AND p.mailbox = ? AND p.uid = r.source",
            (*parameters, target, modseq, modseq, tx.now, account, mailbox),
        )
