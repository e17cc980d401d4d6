"""Messages that come in bulk from elsewhere, each once however often the work is repeated.

A message from outside has a mark: a hash of the mailbox it goes to and of what identifies it there (a
file's name, or its octets). The mark is written in the transaction that places the message, so an
import that is killed and run again finds exactly what it has done. A source may hold the same message
twice: of each mark it is counted how often the source had it in this run, and how often it was placed.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b, sha256

import msgspec

from postillon.account.arriving import new_email
from postillon.account.emails import place
from postillon.account.errors import AccountError
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import ALL_FLAGS, join_keywords
from postillon.mail.mime import Scan
from postillon.mail.octets import Octets
from postillon.store.operation import NewBlob, Steps, Store, Tx

KEEP_MS = 90 * 24 * 3600 * 1000  # how long an import can be repeated without doubling
FORGET = 1_000  # marks removed in one operation
MARK = 16  # octets


class ImportDisturbed(AccountError):
    """Somebody else imports the same messages; nothing of the batch was placed."""

    def __init__(self) -> None:
        super().__init__("another import of the same mail is running; run this one again")


class ToImport(msgspec.Struct, frozen=True):
    """A message to place, scanned. keywords: as check_keywords gives them; received_at: ms."""

    mark: bytes
    content: Octets
    scan: Scan
    flags: int
    keywords: frozenset[str]
    received_at: int | None  # None: now


def mark_of(mailbox: MailboxId, identity: bytes) -> bytes:
    return blake2b(mailbox.to_bytes(8, "big") + identity, digest_size=MARK).digest()


def placed_before(account: AccountId, run: int, marks: Sequence[bytes]) -> Steps[list[bool]]:
    """Of each mark in order, whether the next message with it has been placed already.

    Right as long as all that this run has met before is committed. Such messages need not be scanned.
    """
    wanted = list(dict.fromkeys(marks))
    rows = yield (
        "SELECT mark, copies, CASE WHEN run = ? THEN seen ELSE 0 END FROM imported"  # noqa: S608
        f" WHERE account = ? AND mark IN ({','.join('?' * len(wanted))})",
        (run, account, *wanted),
    )
    left = {bytes(mark): copies - seen for mark, copies, seen in rows}
    answers = []
    for mark in marks:
        left[mark] = left.get(mark, 0) - 1
        answers.append(left[mark] >= 0)
    return answers


async def import_many(
    store: Store,
    account: AccountId,
    mailbox: MailboxId,
    run: int,
    messages: Sequence[ToImport],
    known: Sequence[bytes] = (),
) -> int:
    """Place messages that are not there yet, all or none; returns how many were placed.

    run: different for each run over a source. known: marks that were met and need no placing.
    Raises MailboxNotFound, AccountNotFound, OverQuota or ImportDisturbed.
    """
    new = [
        new_email(
            item.scan,
            sha256(item.content).digest(),
            -1 if item.received_at is None else item.received_at,
            flags=item.flags & ALL_FLAGS,
            keywords=join_keywords(item.keywords),
            mailbox=mailbox,
        )
        for item in messages
    ]

    def operation(tx: Tx) -> Steps[int]:
        for mark in known:
            if (yield from _meet(tx, account, run, mark)):
                raise ImportDisturbed
        placed = 0
        for index, item in enumerate(new):
            if not (yield from _meet(tx, account, run, messages[index].mark)):
                continue
            if item.received_at < 0:
                item = msgspec.structs.replace(item, received_at=tx.now)
            yield from place(tx, account, item, tx.blob(index))
            placed += 1
        return placed

    return await store.write(operation, *(NewBlob(item.content) for item in messages))


def _meet(tx: Tx, account: AccountId, run: int, mark: bytes) -> Steps[bool]:
    """Count one more message with a mark; whether it is new and is now counted as placed."""
    first = yield (
        "INSERT INTO imported (account, mark, copies, run, seen, at) VALUES (?, ?, 1, ?, 1, ?)"
        " ON CONFLICT (account, mark) DO NOTHING RETURNING seen",
        (account, mark, run, tx.now),
    )
    if first:
        return True
    [(seen, copies)] = yield (
        "UPDATE imported SET seen = CASE WHEN run = ? THEN seen + 1 ELSE 1 END, run = ?, at = ?"
        " WHERE account = ? AND mark = ? RETURNING seen, copies",
        (run, run, tx.now, account, mark),
    )
    if seen <= copies:
        return False
    yield (
        "UPDATE imported SET copies = ? WHERE account = ? AND mark = ?",
        (seen, account, mark),
    )
    return True


def forget(tx: Tx, before: int) -> Steps[int]:
    """Remove some marks not met since `before` (ms). Returns how many."""
    rows = yield (
        "DELETE FROM imported WHERE (account, mark) IN (SELECT account, mark FROM imported"
        " WHERE at < ? LIMIT ?) RETURNING account",
        (before, FORGET),
    )
    return len(rows)
