"""Changing flags and keywords of the emails in a mailbox."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

import msgspec

from postillon.account.changes import Kind, Placement, Record, record
from postillon.account.counters import add, next_modseq, require_mailbox
from postillon.account.errors import TooManyKeywords
from postillon.account.ids import AccountId, MailboxId, ModSeq, Uid
from postillon.account.keywords import (
    ALL_FLAGS,
    DELETED,
    MAX_KEYWORDS,
    SEEN,
    join_keywords,
    split_keywords,
)
from postillon.account.ranges import Ranges, lists, placements_in, select_emails
from postillon.account.rights import ALL, Right, settable
from postillon.store.operation import Steps, Tx


class FlagMode(Enum):
    """What is done with the flags given (RFC 9051 section 6.4.6)."""

    ADD = "add"
    REMOVE = "remove"
    REPLACE = "replace"


class FlagResult(msgspec.Struct, frozen=True):
    """What became of the placements that were there, ascending by UID."""

    updated: list[Placement]  # as they stand now; those with an older MODSEQ had it so already
    refused: list[Uid]  # changed after `unchanged_since` (RFC 7162 section 3.1.3)
    modseq: ModSeq | None  # of this change; None when nothing had to be changed


class _Change:
    """The new flags and keywords of a placement, with the text work done once for each spelling."""

    def __init__(self, mode: FlagMode, flags: int, words: frozenset[str], rights: Right) -> None:
        self._mode, self._flags, self._words = mode, flags, words
        self._settable, self._writable = settable(rights), Right.WRITE in rights
        self._known: dict[str | None, str | None] = {}

    def flags(self, old: int) -> int:
        flags, settable = self._flags & self._settable, self._settable
        if self._mode is FlagMode.ADD:
            return old | flags
        if self._mode is FlagMode.REMOVE:
            return old & ~flags
        return old & ~settable | flags

    def keywords(self, old: str | None) -> str | None:
        if not self._writable:
            return old
        if old not in self._known:
            self._known[old] = self._changed(old)
        return self._known[old]

    def _changed(self, old: str | None) -> str | None:
        if self._mode is FlagMode.REPLACE:
            return join_keywords(self._words)
        words = split_keywords(old)
        words = words | self._words if self._mode is FlagMode.ADD else words - self._words
        if len(words) > MAX_KEYWORDS:
            raise TooManyKeywords(len(words), MAX_KEYWORDS)
        return join_keywords(words)


def store_flags(
    tx: Tx,
    account: AccountId,
    mailbox: MailboxId,
    ranges: Ranges,
    mode: FlagMode,
    flags: int,
    keywords: frozenset[str] = frozenset(),
    unchanged_since: int | None = None,
    rights: Right = ALL,
) -> Steps[FlagResult]:
    """Add, remove or replace flags; what is so already keeps its MODSEQ and costs nothing.

    keywords: as `check_keywords` gives them. rights: flags that they do not cover stay as they are
    (RFC 4314 section 4). Raises MailboxNotFound or TooManyKeywords.
    """
    found = yield from placements_in(account, mailbox, ranges)
    if not found:
        yield from require_mailbox(account, mailbox)
    change = _Change(mode, flags & ALL_FLAGS, keywords, rights)
    refused: list[Uid] = []
    stay: list[Placement] = []
    groups: dict[tuple[int, str | None], list[Placement]] = {}
    for placement in found:
        if unchanged_since is not None and placement.modseq > unchanged_since:
            refused.append(placement.uid)
            continue
        after = change.flags(placement.flags), change.keywords(placement.keywords)
        if after == (placement.flags, placement.keywords):
            stay.append(placement)
        else:
            groups.setdefault(after, []).append(placement)
    if not groups:
        return FlagResult(stay, refused, None)
    modseq, _ = yield from next_modseq(account)
    updated = stay
    seen: list[int] = []  # emails, by what changed
    other: list[int] = []
    turning: dict[int, Kind] = {}  # emails whose \Deleted was set or taken away
    after_of: dict[int, tuple[int, str | None]] = {}
    unseen = deleted = 0
    for (new, words), placements in groups.items():
        yield from _write(account, mailbox, modseq, new, words, placements)
        for old in placements:
            updated.append(Placement(old.uid, old.email, new, words, modseq))
            turned = old.flags ^ new
            after_of[old.email] = new, words
            if turned & SEEN:
                seen.append(old.email)
                unseen += -1 if new & SEEN else 1
            if turned & DELETED:
                deleted += 1 if new & DELETED else -1
                turning[old.email] = Kind.HIDDEN if new & DELETED else Kind.SHOWN
            if turned & ~(SEEN | DELETED) or old.keywords != words:
                other.append(old.email)
    yield from _note(account, "seen_changed", modseq, seen)
    yield from _note(account, "content_changed", modseq, other)
    yield from add(account, mailbox, modseq, total=0, unseen=unseen, deleted=deleted, octets=0)
    updated.sort(key=_uid)
    elsewhere, shown = yield from _follow(account, mailbox, modseq, after_of)
    records: list[Record] = []
    for item in updated:
        if item.modseq == modseq:
            kind = Kind.CHANGED if item.email in shown else turning.get(item.email, Kind.CHANGED)
            records.append((kind, mailbox, item.uid, item.email))
    yield from record(tx, account, modseq, records + elsewhere)
    return FlagResult(updated, refused, modseq)


def _follow(
    account: AccountId,
    mailbox: MailboxId,
    modseq: int,
    after: Mapping[int, tuple[int, str | None]],
) -> Steps[tuple[list[Record], set[int]]]:
    """Mark the other placements of these emails like this one; \\Deleted alone is a placement's own.

    Returns what to record of them, and the emails that one of them shows.
    """
    records: list[Record] = []
    shown: set[int] = set()
    rows = yield from select_emails(
        "p.email, p.mailbox, p.uid, p.flags, p.keywords", account, list(after), "",
        "k.mailbox <> ?", mailbox,
    )  # fmt: skip
    for email, other, uid, flags, keywords in rows:
        new, words = after[email]
        new = new & ~DELETED | flags & DELETED
        if not flags & DELETED:
            shown.add(email)
        if (new, words) == (flags, keywords):
            continue
        yield (
            "UPDATE placement SET flags = ?, keywords = ?, modseq = ?"
            " WHERE account = ? AND mailbox = ? AND uid = ?",
            (new, words, modseq, account, other, uid),
        )
        unseen = (not new & SEEN) - (not flags & SEEN)
        yield from add(account, other, modseq, total=0, unseen=unseen, deleted=0, octets=0)
        records.append((Kind.CHANGED, other, uid, email))
    return records, shown


def _write(
    account: AccountId,
    mailbox: MailboxId,
    modseq: int,
    flags: int,
    words: str | None,
    placements: list[Placement],
) -> Steps[None]:
    for marks, uids in lists([item.uid for item in placements]):
        yield (
            "UPDATE placement SET flags = ?, keywords = ?, modseq = ?"  # noqa: S608
            f" WHERE account = ? AND mailbox = ? AND uid IN ({marks})",
            (flags, words, modseq, account, mailbox, *uids),
        )


def _note(account: AccountId, column: str, modseq: int, emails: list[int]) -> Steps[None]:
    for marks, some in lists(emails):
        yield (
            f"UPDATE email SET {column} = ? WHERE account = ? AND email IN ({marks})",  # noqa: S608
            (modseq, account, *some),
        )


def _uid(placement: Placement) -> int:
    return placement.uid


def keywords_in(account: AccountId, mailbox: MailboxId) -> Steps[list[str]]:
    """All keywords of a mailbox, sorted. Looks at each placement: for when it is opened."""
    rows = yield (
        "SELECT DISTINCT keywords FROM placement WHERE account = ? AND mailbox = ?"
        " AND keywords IS NOT NULL",
        (account, mailbox),
    )
    return sorted({word for (column,) in rows for word in split_keywords(column)})
