"""The change log of an account: what IDLE, CONDSTORE, QRESYNC, JMAP and the text index read.

Every operation that changes something takes the account's next MODSEQ and writes one record for each
thing it changed. A record of a removal is the tombstone. Records stand at least until `expire` cuts
them; `account.low_modseq` says how far that has gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import islice

import msgspec

from postillon.account.errors import MailboxNotFound
from postillon.account.ids import AccountId, EmailId, MailboxId, ModSeq, Uid
from postillon.account.keywords import DELETED
from postillon.store.operation import Row, Steps, Tx

ROWS_AT_ONCE = 500  # of one INSERT; nine columns stay below SQLite's 32,766 parameters
KEEP_MS = 90 * 24 * 3600 * 1000  # how long a tombstone stands (DESIGN section 4)


class Kind(IntEnum):
    """Column `change.kind`. `object` is an email up to 9, a mailbox from 10 on, but for GRANTED."""

    CREATED = 1  # a placement, new in this mailbox
    CHANGED = 2  # flags or keywords of a placement, but not \Seen
    DELETED = 3  # tombstone: expunged
    MOVED = (
        4  # tombstone: the email goes on in another mailbox, which has a CREATED of the same MODSEQ
    )
    # As CHANGED, and with it the placement is hidden from those who do not know \Deleted, or shown
    # again (RFC 8621 section 4.1.1). The email itself is shown while any placement of it is.
    HIDDEN = 5
    SHOWN = 6
    SEEN = 7  # as CHANGED, and \Seen is among it
    MAILBOX_CREATED = 10
    MAILBOX_CHANGED = 11  # name, place, role or subscription; counts have their placements' records
    MAILBOX_DELETED = 12
    ANNOTATED = 13  # annotations of the mailbox; of the account itself where `mailbox` is 0
    # Somebody's rights in a mailbox. `object` is the grantee; `thread` is 0, or the rights that went
    # with a mailbox that was deleted: whoever had them may still hear what became of it.
    GRANTED = 14


TOMBSTONES = frozenset({Kind.DELETED, Kind.MOVED})


class Placement(msgspec.Struct, frozen=True, gc=False):
    """An email in a mailbox. `keywords` as stored: sorted, separated by a space, None when none."""

    uid: Uid
    email: EmailId
    flags: int
    keywords: str | None
    modseq: ModSeq


class MailboxChanges(msgspec.Struct, frozen=True):
    """What became of a mailbox after a MODSEQ, each list ascending by UID.

    What was created and removed in between does not appear. If `complete` is false, tombstones have
    been cut in the meantime: `created` and `changed` are right, but `vanished` is only what is still
    known, and the caller must compare all UIDs.
    """

    created: list[Placement]
    changed: list[Placement]
    vanished: list[Uid]
    modseq: ModSeq  # of the mailbox, now
    uid_next: Uid
    complete: bool


# kind, mailbox, uid, object; of a tombstone also the thread: below zero where \Deleted had hidden the
# placement before
Record = tuple[int, int, int, int] | tuple[int, int, int, int, int]


def record(
    tx: Tx, account: AccountId, modseq: int, records: Iterable[Record], n: int = 0
) -> Steps[None]:
    """Write what one operation changed and announce it. At most one call for each MODSEQ.

    n: how many records of it are there already, from `record_run`.
    """
    rest = iter(records)
    while some := list(islice(rest, ROWS_AT_ONCE)):
        values: list[int] = []
        for kind, mailbox, uid, item, *thread in some:
            values += (account, modseq, n, kind, mailbox, uid, item, tx.now, *(thread or (0,)))
            n += 1
        marks = ",".join(["(?,?,?,?,?,?,?,?,?)"] * len(some))
        yield (
            "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at, thread)"  # noqa: S608
            f" VALUES {marks}",
            values,
        )
    tx.changed(account, modseq)


def tombstone(kind: Kind, mailbox: int, uid: int, email: int, flags: int, thread: int) -> Record:
    """The record of a placement that goes. flags: those it had."""
    return kind, mailbox, uid, email, -thread if flags & DELETED else thread


def record_run(
    tx: Tx,
    account: AccountId,
    modseq: int,
    n: int,
    kind: Kind,
    mailbox: MailboxId,
    low: Uid,
    high: Uid,
) -> Steps[None]:
    """Write the same of all placements from one UID to another, of which none is missing.

    n: how many records of this MODSEQ there are. `record` must follow.
    """
    yield (
        "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at, thread)"
        " SELECT account, CAST(? AS bigint), uid + CAST(? AS bigint), CAST(? AS bigint), mailbox,"
        " uid, email, CAST(? AS bigint), 0 FROM placement"
        " WHERE account = ? AND mailbox = ? AND uid BETWEEN ? AND ?",
        (modseq, n - low, int(kind), tx.now, account, mailbox, low, high),
    )


def since(account: AccountId, mailbox: MailboxId, modseq: int) -> Steps[MailboxChanges]:
    """What changed in a mailbox after `modseq`. Raises MailboxNotFound."""
    rows = yield (
        "SELECT m.modseq, m.uid_next, a.low_modseq FROM mailbox m JOIN account a"
        " ON a.account = m.account WHERE m.account = ? AND m.mailbox = ? AND m.parent >= 0",
        (account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
    now, uid_next, low = rows[0]
    if now <= modseq:
        return MailboxChanges([], [], [], now, uid_next, True)
    rows = yield (
        "SELECT c.kind, c.uid, p.email, p.flags, p.keywords, p.modseq, p.created FROM change c"
        " LEFT JOIN placement p ON p.account = c.account AND p.mailbox = c.mailbox AND p.uid = c.uid"
        " WHERE c.account = ? AND c.modseq > ? AND c.mailbox = ? AND c.kind < 10",
        (account, modseq, mailbox),
    )
    vanished = _vanished(rows)
    complete = modseq >= low
    if not complete:
        rows = yield (
            "SELECT 0, uid, email, flags, keywords, modseq, created FROM placement"
            " WHERE account = ? AND mailbox = ? AND modseq > ?",
            (account, mailbox, modseq),
        )
    alive = {row[1]: row for row in rows if row[2] is not None}
    created: list[Placement] = []
    changed: list[Placement] = []
    for uid in sorted(alive):
        row = alive[uid]
        (created if row[6] > modseq else changed).append(Placement(*row[1:6]))
    return MailboxChanges(created, changed, vanished, now, uid_next, complete)


def _vanished(rows: Sequence[Row]) -> list[Uid]:
    """UIDs that had been there before the first of these records and are no more."""
    born = {row[1] for row in rows if row[0] == Kind.CREATED}
    return sorted({row[1] for row in rows if row[0] in TOMBSTONES} - born)


def expire(tx: Tx, account: AccountId, before: int, limit: int = 10_000) -> Steps[int]:
    """Cut records older than `before` (ms), oldest first, about `limit` of them at once.

    Returns how many went; less than `limit` means that nothing older is left. A MODSEQ is cut whole.
    """
    rows = yield (
        "SELECT max(modseq) FROM (SELECT modseq, at FROM change WHERE account = ?"
        " ORDER BY modseq, n LIMIT ?) AS oldest WHERE at < ?",
        (account, limit, before),
    )
    if rows[0][0] is None:
        return 0
    gone = yield (
        "DELETE FROM change WHERE account = ? AND modseq <= ? RETURNING n",
        (account, rows[0][0]),
    )
    yield (
        "UPDATE account SET low_modseq = ? WHERE account = ? AND low_modseq < ?",
        (rows[0][0], account, rows[0][0]),
    )
    return len(gone)
