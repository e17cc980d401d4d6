"""The UIDs of a mailbox, read one by one only where some are missing."""

from __future__ import annotations

from typing import cast

from postillon.account.ids import AccountId, MailboxId, Uid
from postillon.account.ranges import select_in, tables
from postillon.store.operation import Steps

SPARSE = 4  # UIDs that were given for each that is left, from which on counting helps no more
CHUNK = 1_024  # UIDs that are counted before any of them is read


def uids(account: AccountId, mailbox: MailboxId) -> Steps[list[Uid]]:
    """All UIDs of a mailbox, ascending. Empty also for a mailbox that is not there."""
    rows = yield (
        "SELECT m.total, (SELECT min(uid) FROM placement p WHERE p.account = m.account"
        " AND p.mailbox = m.mailbox), (SELECT max(uid) FROM placement p WHERE p.account = m.account"
        " AND p.mailbox = m.mailbox) FROM mailbox m WHERE m.account = ? AND m.mailbox = ?",
        (account, mailbox),
    )
    if not rows or not rows[0][1]:
        return []
    total, first, last = rows[0]
    if last - first + 1 == total:  # none is missing
        found = list(range(first, last + 1))
    elif last - first < SPARSE * total:
        found = yield from _uids_by_chunks(account, mailbox, first, last)
    else:
        rows = yield from select_in("p.uid", "", account, mailbox, ((first, last),))
        found = [uid for (uid,) in rows]
    return cast("list[Uid]", found)  # a call for each would take longer than all the rest


def _uids_by_chunks(
    account: AccountId, mailbox: MailboxId, first: Uid, last: Uid
) -> Steps[list[int]]:
    """Only chunks in which one is missing are read: counting takes an eighth of that."""
    chunks = [(low, min(low + CHUNK - 1, last)) for low in range(first, last + 1, CHUNK)]
    found: list[int] = []
    broken: list[tuple[int, int]] = []
    for values, parameters in tables(chunks):
        rows = yield (
            f"WITH r (low, high) AS (VALUES {values}) SELECT r.low, r.high, (SELECT count(*)"  # noqa: S608
            " FROM placement p WHERE p.account = ? AND p.mailbox = ?"
            " AND p.uid BETWEEN r.low AND r.high) FROM r",
            (*parameters, account, mailbox),
        )
        for low, high, count in rows:
            if count == high - low + 1:
                found += range(low, high + 1)
            elif count:
                broken.append((low, high))
    if broken:
        rows = yield from select_in("p.uid", "", account, mailbox, broken)
        found += [uid for (uid,) in rows]
        found.sort()
    return found
