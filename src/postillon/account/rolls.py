"""The rolls of the accounts that somebody lists now: read once, moved on by the change log, bounded.

A roll is moved inside the read transaction of whoever asks it, so it says what the rest of that
transaction reads. Losing one costs reading it again and nothing else.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from weakref import WeakValueDictionary

from postillon.account.changes import Kind
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId
from postillon.account.keywords import DELETED
from postillon.account.mailboxes import deleted_mailboxes
from postillon.account.ranges import lists, select_emails
from postillon.account.roles import Role
from postillon.account.roll import Entry, Roll
from postillon.store.operation import Row, Steps, Store, T

MAX_ROWS = 1_500_000  # emails in all rolls of a worker, some 65 octets each; one may be larger
MAX_CHANGES = 5_000  # of the log that are followed; for more it is quicker to read all anew
MANY = 200  # emails after whose change counts are made anew
MAX_SPELLINGS = 50_000  # sets of keywords that a roll has met; with more it is read anew

Reading = Callable[[Roll], Steps[T]]


class Rolls:
    """Of one worker."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[int, Roll] = OrderedDict()  # used last is last
        self._locks: WeakValueDictionary[int, asyncio.Lock] = WeakValueDictionary()

    async def ask(self, account: AccountId, reading: Reading[T]) -> T:
        """Run steps in a read transaction with the roll as it is then.

        What it says of flags and places afterwards may be of a later time; rows keep their emails.
        Raises AccountNotFound, or what the steps raise.
        """
        lock = self._locks.setdefault(account, asyncio.Lock())
        async with lock:  # on PostgreSQL another could come between two statements
            while True:
                roll = self._kept.get(account)
                if roll is not None:
                    self._kept.move_to_end(account)
                    moved, answer = await self._store.query(_with(account, roll, reading))
                    if moved:
                        assert answer is not None
                        return answer[0]
                self._keep(account, await self._store.read_apart(read(account)))

    def _keep(self, account: AccountId, roll: Roll) -> None:
        self._kept[account] = roll
        self._kept.move_to_end(account)
        total = sum(map(len, self._kept.values()))
        while total > MAX_ROWS and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            total -= len(oldest)


def _with(
    account: AccountId, roll: Roll, reading: Reading[T]
) -> Steps[tuple[bool, tuple[T] | None]]:
    if not (yield from follow(account, roll)):
        return False, None
    return True, ((yield from reading(roll)),)


def read(account: AccountId) -> Steps[Roll]:
    """All of an account: for another thread. Raises AccountNotFound."""
    epoch, modseq, _ = yield from _counters(account)
    roll = Roll(epoch, modseq, (yield from _trash(account)))
    emails = yield (
        "SELECT email, thread, received_at, sent_at, size FROM email WHERE account = ?"
        " ORDER BY email",
        (account,),
    )
    roll.load(emails)
    doomed = yield from deleted_mailboxes(account)
    placements = yield (
        "SELECT mailbox, email, flags, keywords FROM placement WHERE account = ?",
        (account,),
    )
    roll.place(row for row in placements if not row[2] & DELETED and row[0] not in doomed)
    return roll


def follow(account: AccountId, roll: Roll) -> Steps[bool]:
    """Move a roll to the account's MODSEQ; False: it cannot be, and must be read anew."""
    epoch, modseq, low = yield from _counters(account)
    if epoch != roll.epoch or modseq < roll.modseq or low > roll.modseq:
        return False
    if modseq == roll.modseq:
        return True
    if roll.idle > 10_000 + len(roll) // 4 or len(roll.spellings) > MAX_SPELLINGS:
        return False
    log = yield (
        "SELECT kind, object FROM change WHERE account = ? AND modseq > ? ORDER BY modseq, n"
        " LIMIT ?",
        (account, roll.modseq, MAX_CHANGES + 1),
    )
    if len(log) > MAX_CHANGES:
        return False
    emails = sorted({item for kind, item in log if kind < Kind.MAILBOX_CREATED})
    if len(emails) > MANY:
        roll.forget_counts()
    if len(emails) < len(log) and any(kind >= Kind.MAILBOX_CREATED for kind, _ in log):
        for kind, mailbox in log:
            if kind == Kind.MAILBOX_DELETED:
                roll.forget_mailbox(mailbox)
        roll.set_trash((yield from _trash(account)))
    if not (yield from _take_up(account, roll, emails)):
        return False
    roll.modseq = modseq
    return True


def _take_up(account: AccountId, roll: Roll, emails: list[int]) -> Steps[bool]:
    new = [email for email in emails if not roll.knows(email)]
    if new and len(roll) and new[0] < roll.emails[-1]:
        rows = yield (
            "SELECT count(*) FROM email WHERE account = ? AND email BETWEEN ? AND ?",
            (account, new[0], roll.emails[-1]),
        )
        if rows[0][0] > sum(1 for email in roll.emails if email >= new[0]):
            return False  # one came back below the others: mending does that
        new = [email for email in new if email > roll.emails[-1]]
    for marks, some in lists(new):
        rows = yield (
            "SELECT email, thread, received_at, sent_at, size FROM email WHERE account = ?"  # noqa: S608
            f" AND email IN ({marks})",
            (account, *some),
        )
        for row in sorted(rows):
            roll.add(Entry(*row))
    doomed = yield from deleted_mailboxes(account)
    shown: dict[int, list[Row]] = {}
    rows = yield from select_emails("p.email, p.mailbox, p.flags, p.keywords", account, emails)
    for row in rows:
        if not row[2] & DELETED and row[1] not in doomed:
            shown.setdefault(row[0], []).append(row)
    for email in emails:
        if roll.knows(email):
            found = shown.get(email)
            if found is None:
                roll.set(email, (), 0, None)
            else:
                places = tuple(sorted({row[1] for row in found}))
                roll.set(email, places, found[0][2], found[0][3])
    return True


def _counters(account: AccountId) -> Steps[tuple[int, int, int]]:
    rows = yield ("SELECT epoch, modseq, low_modseq FROM account WHERE account = ?", (account,))
    if not rows:
        raise AccountNotFound(account)
    return rows[0][0], rows[0][1], rows[0][2]


def _trash(account: AccountId) -> Steps[int]:
    rows = yield (
        "SELECT mailbox FROM mailbox WHERE account = ? AND role = ? AND parent >= 0",
        (account, Role.TRASH.value),
    )
    return int(rows[0][0]) if rows else 0
