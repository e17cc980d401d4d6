"""Reading and naming many placements in few statements.

UIDs come as ranges, both ends included. Ranges and lists of values are given to the database as a
table of parameters whose length is rounded up to few sizes: so few statements need preparing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter

from postillon.account.changes import Placement
from postillon.account.ids import AccountId, MailboxId
from postillon.store.operation import Row, Steps

Ranges = Sequence[tuple[int, int]]

MAX_UID = 2**32 - 1  # RFC 9051 section 2.3.1.1
EVERYTHING: Ranges = ((1, MAX_UID),)
SIZES = (1, 4, 16, 64, 256, 1024)  # rows of parameters; times five columns, below SQLite's 32,766
ROWS_AT_ONCE = SIZES[-1]


def merge(ranges: Ranges) -> list[tuple[int, int]]:
    """Ascending ranges that neither touch nor overlap; reversed ones are read as `*:n` (RFC 9051)."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted((min(pair), max(pair)) for pair in ranges):
        if merged and low <= merged[-1][1] + 1:
            if high > merged[-1][1]:
                merged[-1] = (merged[-1][0], high)
        else:
            merged.append((low, high))
    return merged


def ranges_of(uids: Sequence[int]) -> list[tuple[int, int]]:
    """Ascending UIDs as ranges."""
    found: list[tuple[int, int]] = []
    start = last = -1
    for uid in uids:
        if uid != last + 1:
            if start > 0:
                found.append((start, last))
            start = uid
        last = uid
    if start > 0:
        found.append((start, last))
    return found


def tables(rows: Sequence[Sequence[int]]) -> Iterator[tuple[str, list[int]]]:
    """`VALUES` texts with their parameters, for rows of whole numbers.

    A text is padded with rows of zeros: no UID and no id is 0.
    """
    width = len(rows[0]) if rows else 0
    first = "(" + ",".join(["CAST(? AS bigint)"] * width) + ")"
    other = "(" + ",".join("?" * width) + ")"
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[begin : begin + ROWS_AT_ONCE]
        size = next(size for size in SIZES if size >= len(some))
        values = [value for row in some for value in row]
        values += [0] * (width * (size - len(some)))
        yield ",".join([first, *[other] * (size - 1)]), values


def lists(values: Sequence[int]) -> Iterator[tuple[str, list[int]]]:
    """Texts for `IN (...)` with their parameters, padded in the same way."""
    for begin in range(0, len(values), ROWS_AT_ONCE):
        some = list(values[begin : begin + ROWS_AT_ONCE])
        size = next(size for size in SIZES if size >= len(some))
        yield ",".join("?" * size), some + [0] * (size - len(some))


def select_in(
    columns: str, more: str, account: AccountId, mailbox: MailboxId, ranges: Ranges, where: str = ""
) -> Steps[list[Row]]:
    """Rows of `placement p` whose UIDs lie in the ranges, ascending; the first column is `p.uid`.

    more: a JOIN or nothing; where: one condition more, or nothing. Both are constants of the caller.
    """
    condition = f" AND {where}" if where else ""
    merged = merge(ranges)
    if len(merged) == 1:
        rows = yield (
            f"SELECT {columns} FROM placement p {more} WHERE p.account = ? AND p.mailbox = ?"  # noqa: S608
            f" AND p.uid BETWEEN ? AND ?{condition} ORDER BY p.uid",
            (account, mailbox, *merged[0]),
        )
        return rows
    found: list[Row] = []
    for values, parameters in tables(merged):
        # CROSS JOIN: the ranges outside, the index inside; SQLite keeps that order.
        rows = yield (
            f"WITH r (low, high) AS (VALUES {values}) SELECT {columns} FROM r CROSS JOIN"  # noqa: S608
            f" placement p {more} WHERE p.account = ? AND p.mailbox = ?"
            f" AND p.uid BETWEEN r.low AND r.high{condition}",
            (*parameters, account, mailbox),
        )
        found += rows
    found.sort(key=itemgetter(0))
    return found


def placements_in(account: AccountId, mailbox: MailboxId, ranges: Ranges) -> Steps[list[Placement]]:
    """The placements of these UIDs that are there, ascending."""
    rows = yield from select_in(
        "p.uid, p.email, p.flags, p.keywords, p.modseq", "", account, mailbox, ranges
    )
    return [Placement(*row) for row in rows]


def select_emails(
    columns: str,
    account: AccountId,
    emails: Sequence[int],
    more: str = "",
    where: str = "",
    *values: int,
) -> Steps[list[Row]]:
    """Rows of `placement p` of these emails, wherever they lie.

    more, where: as for `select_in`, with the values of its parameters. The index finds where they
    lie (`k`) and the key what is there: asked for both at once, SQLite reads all of the account.
    """
    condition = f" AND {where}" if where else ""
    found: list[Row] = []
    for marks, some in lists(emails):
        rows = yield (
            f"SELECT {columns} FROM placement k CROSS JOIN placement p {more} WHERE k.account = ?"  # noqa: S608
            f" AND k.email IN ({marks}) AND p.account = k.account AND p.mailbox = k.mailbox"
            f" AND p.uid = k.uid{condition}",
            (account, *some, *values),
        )
        found += rows
    return found
