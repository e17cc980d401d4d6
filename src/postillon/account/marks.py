"""Flags and keywords of many placements as one column: a quarter of what a row for each costs."""

from __future__ import annotations

from postillon.account.ids import AccountId, MailboxId, Uid
from postillon.store.operation import Steps

Mark = str  # flags as a number, and after a space each keyword: "17 $forwarded $junk"


def marks_in(account: AccountId, mailbox: MailboxId, low: Uid, high: Uid) -> Steps[list[Mark]]:
    """Of the placements from one UID to another, ascending by UID. Who asks knows which are there."""
    rows = yield (
        # No keyword holds a line end.
        "SELECT string_agg(x.mark, '\n') FROM (SELECT CASE WHEN keywords IS NULL"
        " THEN CAST(flags AS text) ELSE CAST(flags AS text) || ' ' || keywords END AS mark"
        " FROM placement WHERE account = ? AND mailbox = ? AND uid BETWEEN ? AND ?"
        " ORDER BY uid) AS x",
        (account, mailbox, low, high),
    )
    return rows[0][0].split("\n") if rows[0][0] is not None else []


def read(mark: Mark) -> tuple[int, str | None]:
    """Flags, and keywords as a placement has them."""
    flags, _, keywords = mark.partition(" ")
    return int(flags), keywords or None
