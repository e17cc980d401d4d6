"""How `postillon verify --repair` puts rows right: operations, each one transaction, on damaged rows.

They know the tables of `account`, `directory` and `queue`, as recovery does: the store must be sound
before those may look at it. Whatever a client may have seen gets a change record, and numbers only go
up. A mend looks again at what it is about to change: it may have been put right meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass

from postillon.store.operation import BlobRef, Row, Steps, Tx, WriteOperation
from postillon.store.recovery import GAP, TOMBSTONE

CREATED = 1  # change.kind of a new placement, as in account.changes (a test compares them)
MAILBOX_CREATED, MAILBOX_CHANGED = 10, 11  # likewise
INBOX, TOP, DOOMED = 1, 0, -1  # mailbox ids and parents, as in account.mailboxes

_COUNTS = (
    "SELECT count(*), coalesce(sum(1 - (p.flags & 1)), 0), coalesce(sum((p.flags & 8) / 8), 0),"
    " coalesce(sum(e.size), 0), coalesce(max(p.modseq), 0), coalesce(max(p.uid), 0) FROM placement p"
    " JOIN email e ON e.account = p.account AND e.email = p.email"
    " WHERE p.account = ? AND p.mailbox = ?"
)


# Counters


def recount_account(account: int) -> WriteOperation[None]:
    """Octets and emails of an account, and every number it gives above all that it has given."""

    def operation(tx: Tx) -> Steps[None]:
        yield (
            "UPDATE account SET used = (SELECT coalesce(sum(size), 0) FROM email WHERE account = ?),"
            " emails = (SELECT count(*) FROM email WHERE account = ?) WHERE account = ?",
            (account, account, account),
        )
        modseq = yield from _highest(account, _MODSEQS)
        yield (
            "UPDATE account SET modseq = ? WHERE account = ? AND modseq < ?",
            (modseq + GAP, account, modseq),
        )
        number = yield from _highest(account, _IDS)
        yield (
            "UPDATE account SET next_id = ? WHERE account = ? AND next_id <= ?",
            (number + GAP, account, number),
        )
        yield (
            "UPDATE account SET low_modseq = modseq WHERE account = ? AND low_modseq > modseq",
            (account,),
        )

    return operation


_MODSEQS = (
    "SELECT max(modseq) FROM change WHERE account = ?",
    "SELECT max(modseq) FROM mailbox WHERE account = ?",
    "SELECT max(modseq) FROM placement WHERE account = ?",
)
_IDS = (
    "SELECT max(email) FROM email WHERE account = ?",
    "SELECT max(mailbox) FROM mailbox WHERE account = ?",
    "SELECT max(placement) FROM placement WHERE account = ?",
)


def _highest(account: int, queries: tuple[str, ...]) -> Steps[int]:
    highest = 0
    for query in queries:
        rows = yield query, (account,)
        highest = max(highest, rows[0][0] or 0)
    return highest


def recount_mailbox(account: int, mailbox: int) -> WriteOperation[None]:
    return lambda tx: _recount_mailbox(account, mailbox)


def _recount_mailbox(account: int, mailbox: int) -> Steps[None]:
    [(total, unseen, deleted, octets, modseq, uid)] = yield _COUNTS, (account, mailbox)
    rows = yield (
        "SELECT coalesce(max(uid), 0) FROM change WHERE account = ? AND mailbox = ?",
        (account, mailbox),
    )
    uid = max(uid, rows[0][0])
    yield (
        "UPDATE mailbox SET total = ?, unseen = ?, deleted = ?, octets = ?,"
        " modseq = CASE WHEN modseq < ? THEN ? ELSE modseq END,"
        " uid_next = CASE WHEN uid_next <= ? THEN ? ELSE uid_next END"
        " WHERE account = ? AND mailbox = ?",
        (total, unseen, deleted, octets, modseq, modseq, uid, uid + GAP, account, mailbox),
    )
    yield (
        "UPDATE mailbox SET recent_uid = uid_next WHERE account = ? AND mailbox = ?"
        " AND recent_uid > uid_next",
        (account, mailbox),
    )


def set_size(account: int, email: int) -> WriteOperation[None]:
    def operation(tx: Tx) -> Steps[None]:
        yield (
            "UPDATE email SET size = length(prefix) + length WHERE account = ? AND email = ?",
            (account, email),
        )

    return operation


# Rows


def drop_placement(account: int, mailbox: int, uid: int) -> WriteOperation[None]:
    """Remove a placement whose email is gone, as an expunge would."""

    def operation(tx: Tx) -> Steps[None]:
        gone = yield (
            "DELETE FROM placement WHERE account = ? AND mailbox = ? AND uid = ? AND NOT EXISTS"
            " (SELECT 1 FROM email e WHERE e.account = placement.account"
            " AND e.email = placement.email) RETURNING email",
            (account, mailbox, uid),
        )
        if gone:
            modseq = yield from _next_modseq(account)
            yield from _record(tx, account, modseq, TOMBSTONE, mailbox, uid, gone[0][0])
            yield from _recount_mailbox(account, mailbox)
            yield from _touch(account, mailbox, modseq)

    return operation


# Columns of `email` that say nothing of where its octets lie.
_EMAIL = (
    "account, email, thread, size, digest, prefix, received_at, sent_at, header, structure, preview,"
    " queue_id, created, content_changed, seen_changed"
)


@dataclass(frozen=True, slots=True)
class KeptRow:
    """The row of an email in a backup."""

    account: int
    ref: BlobRef
    digest: bytes
    values: Row  # of _EMAIL


def email_of(account: int, mailbox: int, uid: int) -> Steps[int | None]:
    rows = yield (
        "SELECT email FROM placement WHERE account = ? AND mailbox = ? AND uid = ?",
        (account, mailbox, uid),
    )
    return rows[0][0] if rows else None


def kept_row(account: int, email: int) -> Steps[KeptRow | None]:
    rows = yield (
        f"SELECT pack, start, length, {_EMAIL} FROM email WHERE account = ? AND email = ?",  # noqa: S608
        (account, email),
    )
    if not rows:
        return None
    values = rows[0][3:]
    return KeptRow(account, BlobRef(*rows[0][:3]), bytes(values[4]), values)


def put_back(row: KeptRow, mailbox: int, ref: BlobRef | None) -> WriteOperation[None]:
    """Insert the row of an email whose placement is there. ref: None is the operation's blob."""

    def operation(tx: Tx) -> Steps[None]:
        at = tx.blob() if ref is None else ref
        yield (
            f"INSERT INTO email ({_EMAIL}, pack, start, length)"  # noqa: S608 - a constant
            f" VALUES ({','.join('?' * (len(row.values) + 3))}) ON CONFLICT DO NOTHING",
            (*row.values, at.pack, at.offset, at.length),
        )
        yield from recount_account(row.account)(tx)
        yield from _recount_mailbox(row.account, mailbox)

    return operation


def place_again(account: int, email: int) -> WriteOperation[None]:
    """Give an email without a placement its last one back; the change log still knows it.

    An email that was expunged goes. One of which nothing is known, or whose mailbox is gone, comes
    into INBOX. Flags and keywords are lost.
    """

    def operation(tx: Tx) -> Steps[None]:
        there = yield (
            "SELECT 1 FROM email e WHERE e.account = ? AND e.email = ? AND NOT EXISTS (SELECT 1"
            " FROM placement p WHERE p.account = e.account AND p.email = e.email)",
            (account, email),
        )
        if not there:
            return
        known = yield (
            "SELECT kind, mailbox, uid FROM change WHERE account = ? AND object = ?"
            " AND kind IN (?, ?) ORDER BY modseq DESC, n DESC LIMIT 1",
            (account, email, CREATED, TOMBSTONE),
        )
        if known and known[0][0] == TOMBSTONE:
            yield "DELETE FROM email WHERE account = ? AND email = ?", (account, email)
            return
        mailbox, uid = (known[0][1], known[0][2]) if known else (INBOX, 0)
        if not (yield from _is_free(account, mailbox, uid)):
            mailbox, uid = INBOX, 0
        modseq = yield from _next_modseq(account)
        if not uid:
            rows = yield (
                "UPDATE mailbox SET uid_next = uid_next + 1 WHERE account = ? AND mailbox = ?"
                " RETURNING uid_next - 1",
                (account, mailbox),
            )
            if not rows:
                return  # no INBOX yet: that is mended first
            uid = rows[0][0]
        yield from _insert_placement(tx, account, mailbox, uid, email, modseq)

    return operation


def _is_free(account: int, mailbox: int, uid: int) -> Steps[bool]:
    rows = yield (
        "SELECT 1 FROM mailbox m WHERE m.account = ? AND m.mailbox = ? AND m.kind = 0"
        " AND m.parent >= 0 AND NOT EXISTS (SELECT 1 FROM placement p WHERE p.account = m.account"
        " AND p.mailbox = m.mailbox AND p.uid = ?)",
        (account, mailbox, uid),
    )
    return bool(rows) and uid > 0


def _insert_placement(
    tx: Tx, account: int, mailbox: int, uid: int, email: int, modseq: int
) -> Steps[None]:
    yield (
        "INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
        " created, saved_at) SELECT account, ?, ?, ?, next_id, 0, NULL, ?, ?, ? FROM account"
        " WHERE account = ?",
        (mailbox, uid, email, modseq, modseq, tx.now, account),
    )
    yield "UPDATE account SET next_id = next_id + 1 WHERE account = ?", (account,)
    yield from _record(tx, account, modseq, CREATED, mailbox, uid, email)
    yield from _recount_mailbox(account, mailbox)
    yield from _touch(account, mailbox, modseq)


def make_mailbox_again(account: int, mailbox: int) -> WriteOperation[None]:
    """A row for a mailbox that still has emails, or for INBOX. Its name is lost."""

    def operation(tx: Tx) -> Steps[None]:
        modseq = yield from _next_modseq(account)
        name, role = ("INBOX", "inbox") if mailbox == INBOX else (f"Recovered {mailbox}", None)
        made = yield (
            "INSERT INTO mailbox (account, mailbox, parent, name, role, uid_validity, uid_next,"
            " recent_uid, total, unseen, deleted, octets, modseq, changed, created)"
            " SELECT account, ?, 0, ?, ?, ?, 1, 1, 0, 0, 0, 0, ?, ?, ? FROM account"
            " WHERE account = ? ON CONFLICT DO NOTHING RETURNING mailbox",
            (mailbox, name, role, tx.now // 1000, modseq, modseq, modseq, account),
        )
        if made:
            yield from _record(tx, account, modseq, MAILBOX_CREATED, mailbox, 0, mailbox)
            yield from _recount_mailbox(account, mailbox)

    return operation


def hang_at_the_top(account: int, mailbox: int) -> WriteOperation[None]:
    """A mailbox that hangs nowhere, or in a circle, comes to the top, under a name that is free."""

    def operation(tx: Tx) -> Steps[None]:
        modseq = yield from _next_modseq(account)
        rows = yield (
            "SELECT name, EXISTS (SELECT 1 FROM mailbox o WHERE o.account = m.account"
            " AND o.parent = 0 AND o.name = m.name) FROM mailbox m"
            " WHERE m.account = ? AND m.mailbox = ?",
            (account, mailbox),
        )
        for name, taken in rows:
            free = f"{name[:200]} ({mailbox})" if taken else name
            yield (
                "UPDATE mailbox SET parent = 0, name = ?, changed = ?"
                " WHERE account = ? AND mailbox = ?",
                (free, modseq, account, mailbox),
            )
            yield from _record(tx, account, modseq, MAILBOX_CHANGED, mailbox, 0, mailbox)

    return operation


def drop_role(account: int, mailbox: int) -> WriteOperation[None]:
    def operation(tx: Tx) -> Steps[None]:
        modseq = yield from _next_modseq(account)
        yield (
            "UPDATE mailbox SET role = NULL, changed = ? WHERE account = ? AND mailbox = ?",
            (modseq, account, mailbox),
        )
        yield from _record(tx, account, modseq, MAILBOX_CHANGED, mailbox, 0, mailbox)

    return operation


def make_account_again(account: int) -> WriteOperation[None]:
    """A row for an account whose mailboxes or emails are still there, with a new epoch."""

    def operation(tx: Tx) -> Steps[None]:
        modseq = yield from _highest(account, _MODSEQS)
        number = yield from _highest(account, _IDS)
        yield (
            "INSERT INTO account (account, epoch, modseq, next_id, low_modseq, quota, used, emails,"
            " indexed_modseq) VALUES (?, ?, ?, ?, 0, NULL, 0, 0, 0) ON CONFLICT DO NOTHING",
            (account, tx.now // 1000, modseq + GAP, number + GAP),
        )
        yield from recount_account(account)(tx)

    return operation


def _next_modseq(account: int) -> Steps[int]:
    rows = yield (
        "UPDATE account SET modseq = modseq + 1 WHERE account = ? RETURNING modseq",
        (account,),
    )
    return rows[0][0] if rows else 0


def _touch(account: int, mailbox: int, modseq: int) -> Steps[None]:
    yield (
        "UPDATE mailbox SET modseq = ? WHERE account = ? AND mailbox = ? AND modseq < ?",
        (modseq, account, mailbox, modseq),
    )


def _record(
    tx: Tx, account: int, modseq: int, kind: int, mailbox: int, uid: int, item: int
) -> Steps[None]:
    yield (
        "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
        " VALUES (?, ?, 0, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        (account, modseq, kind, mailbox, uid, item, tx.now),
    )
    tx.changed(account, modseq)
