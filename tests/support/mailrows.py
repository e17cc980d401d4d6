"""Accounts and emails as bare rows, for tests of the store below `account`.

All counters are kept as `account` keeps them, so that `verify` can prove them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from postillon.store.operation import BlobRef, Steps, Store, Tx

INBOX = 1


@dataclass(frozen=True, slots=True)
class Put:
    """An email as its writer was told of it."""

    account: int
    email: int
    uid: int
    modseq: int
    digest: bytes


def accounts(number: int) -> Callable[[Tx], Steps[None]]:
    """Accounts 1 to `number`, each with an INBOX and a principal."""

    def operation(tx: Tx) -> Steps[None]:
        for account in range(1, number + 1):
            yield (
                "INSERT INTO account (account, epoch, modseq, next_id, low_modseq, quota, used,"
                " emails, indexed_modseq) VALUES (?, 1, 1, 10, 0, NULL, 0, 0, 0)",
                (account,),
            )
            yield (
                "INSERT INTO mailbox (account, mailbox, parent, name, uid_validity, uid_next,"
                " recent_uid, total, unseen, deleted, octets, modseq, changed, created)"
                " VALUES (?, ?, 0, 'INBOX', 1, 1, 1, 0, 0, 0, 0, 1, 1, 1)",
                (account, INBOX),
            )

    return operation


def put(account: int, content: bytes) -> Callable[[Tx], Steps[Put]]:
    """Place the first blob of the operation, which is `content`, in an INBOX."""

    def operation(tx: Tx) -> Steps[Put]:
        return (yield from put_at(tx, account, content, tx.blob()))

    return operation


def put_at(tx: Tx, account: int, content: bytes, ref: BlobRef) -> Steps[Put]:
    digest = hashlib.sha256(content).digest()
    size = len(content)
    [(modseq, email)] = yield (
        "UPDATE account SET modseq = modseq + 1, next_id = next_id + 1, used = used + ?,"
        " emails = emails + 1 WHERE account = ? RETURNING modseq, next_id - 1",
        (size, account),
    )
    [(uid,)] = yield (
        "UPDATE mailbox SET uid_next = uid_next + 1, total = total + 1, unseen = unseen + 1,"
        " octets = octets + ?, modseq = ? WHERE account = ? AND mailbox = ? RETURNING uid_next - 1",
        (size, modseq, account, INBOX),
    )
    yield (
        "INSERT INTO email (account, email, thread, pack, start, length, size, digest, prefix,"
        " received_at, header, structure, preview, created, content_changed, seen_changed)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, '', ?, ?, ?)",
        (account, email, email, ref.pack, ref.offset, ref.length, size, digest, b"", tx.now,
         b"h", b"s", modseq, modseq, modseq),
    )  # fmt: skip
    yield (
        "INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
        " created, saved_at) VALUES (?, ?, ?, ?, ?, 0, NULL, ?, ?, ?)",
        (account, INBOX, uid, email, email, modseq, modseq, tx.now),
    )
    yield (
        "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
        " VALUES (?, ?, 0, 1, ?, ?, ?, ?)",
        (account, modseq, INBOX, uid, email, tx.now),
    )
    tx.changed(account, modseq)
    return Put(account, email, uid, modseq, digest)


def remove(account: int, email: int) -> Callable[[Tx], Steps[bool]]:
    """Expunge an email; False if it is not there."""

    def operation(tx: Tx) -> Steps[bool]:
        rows = yield (
            "SELECT p.uid, e.size, p.flags FROM placement p JOIN email e ON e.account = p.account"
            " AND e.email = p.email WHERE p.account = ? AND p.email = ?",
            (account, email),
        )
        if not rows:
            return False
        [(uid, size, flags)] = rows
        [(modseq,)] = yield (
            "UPDATE account SET modseq = modseq + 1, used = used - ?, emails = emails - 1"
            " WHERE account = ? RETURNING modseq",
            (size, account),
        )
        yield (
            "UPDATE mailbox SET total = total - 1, unseen = unseen - ?, octets = octets - ?,"
            " modseq = ? WHERE account = ? AND mailbox = ?",
            (int(not flags & 1), size, modseq, account, INBOX),
        )
        for table in ("placement", "email"):
            yield (f"DELETE FROM {table} WHERE account = ? AND email = ?", (account, email))
        yield (
            "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
            " VALUES (?, ?, 0, 3, ?, ?, ?, ?)",
            (account, modseq, INBOX, uid, email, tx.now),
        )
        tx.changed(account, modseq)
        return True

    return operation


Held = dict[tuple[int, int], tuple[int, bytes, BlobRef]]


def held() -> Steps[Held]:
    """All emails: (account, email) to UID, digest and place."""
    rows = yield (
        "SELECT e.account, e.email, p.uid, e.digest, e.pack, e.start, e.length FROM email e"
        " JOIN placement p ON p.account = e.account AND p.email = e.email ORDER BY 1, 2",
        (),
    )
    return {(row[0], row[1]): (row[2], row[3], BlobRef(*row[4:7])) for row in rows}


def contents(store: Store) -> dict[tuple[int, int], bytes]:
    """All emails with their octets, read and compared with their digest."""
    found = {}
    for key, (_, digest, ref) in store.read(held()).items():
        content = store.content(ref)
        assert hashlib.sha256(content).digest() == digest
        found[key] = content
    return found
