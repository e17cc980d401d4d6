"""The inbox of an account as POP3 sees it: a snapshot with numbers, held by one session at a time.

RFC 1939 section 3 wants the maildrop locked. Our lock keeps other POP3 sessions out and nobody else:
UIDs are never used twice, so what IMAP, the web or a delivery do meanwhile cannot make a number mean
another message. A lock whose session has been silent for a while may be taken over: a phone that lost
its network does not lock its owner out.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from postillon.account import emails, flags, mailboxes, transfer
from postillon.account.errors import MaildropInUse, MaildropLost
from postillon.account.flags import FlagMode
from postillon.account.ids import AccountId, MailboxId, Uid
from postillon.account.keywords import DELETED, SEEN
from postillon.account.ranges import EVERYTHING, ranges_of, select_in
from postillon.account.roles import INBOX_ID
from postillon.store.operation import Steps, Store, Tx


class Maildrop:
    """What one session has before it. Numbers begin at 0 here; `uids` and `sizes` never change.

    sizes: octets. About 12 octets of memory for each message.
    """

    def __init__(self, store: Store, account: AccountId, holder: str, hold_ms: int) -> None:
        self._store = store
        self._account = account
        self._holder = holder
        self._hold_ms = hold_ms
        self.uid_validity = 0
        self.uids: array[int] = array("I")
        self.sizes: array[int] = array("Q")

    async def open(self) -> None:
        """Take the lock, then the snapshot. Messages marked \\Deleted are left out.

        Raises MaildropInUse, or MailboxNotFound when the account is gone.
        """
        if not await self._store.write(self._lock):
            raise MaildropInUse(self._account)
        inbox = await self._store.query(mailboxes.one(self._account, INBOX_ID))
        self.uid_validity = inbox.uid_validity
        for uid, size in await self._store.read_apart(_messages(self._account, INBOX_ID)):
            self.uids.append(uid)
            self.sizes.append(size)

    async def renew(self) -> None:
        """Keep the lock; to be called more often than it lasts. Raises MaildropLost."""
        if not await self._store.write(self._renew):
            raise MaildropLost(self._account)

    async def email(self, number: int) -> emails.EmailRow | None:
        """The message, or None when another session has removed it meanwhile."""
        uid = self.uids[number]
        rows = await self._store.query(
            emails.rows_in(self._account, MailboxId(INBOX_ID), ((uid, uid),))
        )
        return rows[0] if rows else None

    async def finish(self, read: Iterable[int], deleted: Iterable[int]) -> int:
        """Mark what was read, remove what was deleted, give the lock back: all or nothing.

        Both are numbers of messages. Returns how many were removed. Raises MaildropLost.
        """
        read, deleted = sorted(read), sorted(deleted)
        seen = ranges_of([self.uids[number] for number in read])
        gone = ranges_of([self.uids[number] for number in deleted])

        def operation(tx: Tx) -> Steps[int]:
            held = yield from self._renew(tx)
            if not held:
                raise MaildropLost(self._account)
            removed: list[Uid] = []
            if seen:
                yield from flags.store_flags(tx, self._account, INBOX_ID, seen, FlagMode.ADD, SEEN)
            if gone:
                yield from flags.store_flags(
                    tx, self._account, INBOX_ID, gone, FlagMode.ADD, DELETED
                )
                removed = yield from transfer.expunge(tx, self._account, INBOX_ID, gone)
            yield from self._unlock(tx)
            return len(removed)

        return await self._store.write(operation)

    async def leave(self) -> None:
        """Give the lock back and change nothing: the session ended without QUIT."""
        await self._store.write(self._unlock)

    def _lock(self, tx: Tx) -> Steps[bool]:
        rows = yield (
            "INSERT INTO maildrop_lock (account, holder, held_until) VALUES (?, ?, ?)"
            " ON CONFLICT (account) DO UPDATE SET holder = excluded.holder,"
            " held_until = excluded.held_until WHERE maildrop_lock.held_until <= ?"
            " RETURNING holder",
            (self._account, self._holder, tx.now + self._hold_ms, tx.now),
        )
        return bool(rows)

    def _renew(self, tx: Tx) -> Steps[bool]:
        rows = yield (
            "UPDATE maildrop_lock SET held_until = ? WHERE account = ? AND holder = ?"
            " RETURNING account",
            (tx.now + self._hold_ms, self._account, self._holder),
        )
        return bool(rows)

    def _unlock(self, tx: Tx) -> Steps[None]:
        yield (
            "DELETE FROM maildrop_lock WHERE account = ? AND holder = ?",
            (self._account, self._holder),
        )


def _messages(account: AccountId, mailbox: MailboxId) -> Steps[list[tuple[int, int]]]:
    rows = yield from select_in(
        "p.uid, e.size",
        "JOIN email e ON e.account = p.account AND e.email = p.email",
        account,
        mailbox,
        EVERYTHING,
        f"p.flags & {DELETED} = 0",
    )
    return [(uid, size) for uid, size in rows]
