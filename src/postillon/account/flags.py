"""Changing flags and keywords of the emails in a mailbox."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec

from postillon.account.changes import Kind, Placement, Record, record, record_run
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
from postillon.account.ranges import Ranges, lists, ranges_of, select_emails, select_in
from postillon.account.rights import ALL, Right, settable
from postillon.store.operation import Row, Steps, Tx

LONG = 16  # placements that follow one another, from which on a statement names them by their ends
FEW = 64  # emails that are looked up in other mailboxes without asking whether any is in two
_SET = "UPDATE placement SET flags = ?, keywords = ?, modseq = ? WHERE account = ? AND mailbox = ?"


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


class _Group:
    """Placements with the same flags and keywords, which a change makes into the same again."""

    def __init__(self, flags: int, keywords: str | None, change: _Change) -> None:
        self.flags, self.keywords = change.flags(flags), change.keywords(keywords)
        self.turned = flags ^ self.flags
        self.stays = not self.turned and keywords == self.keywords
        # \Deleted is of a placement alone, all else is of its email.
        self.follows = bool(self.turned & ~DELETED) or keywords != self.keywords
        self.rows: list[Row] = []  # uid, email, flags, keywords, modseq; ascending

    @property
    def kind(self) -> Kind:
        """What is recorded of these placements."""
        if self.turned & DELETED:
            return Kind.HIDDEN if self.flags & DELETED else Kind.SHOWN
        return self.kind_beside

    @property
    def kind_beside(self) -> Kind:
        """What is recorded of others of the same emails."""
        return Kind.SEEN if self.turned & SEEN else Kind.CHANGED

    def placements(self, modseq: ModSeq) -> Iterable[Placement]:
        """As they are after the change of this MODSEQ."""
        if self.stays:
            return (Placement(*row) for row in self.rows)
        flags, keywords = self.flags, self.keywords
        return (Placement(row[0], row[1], flags, keywords, modseq) for row in self.rows)

    def runs(self) -> Iterator[list[Row]]:
        """The rows, cut where a UID is missing among them."""
        at = 0
        for low, high in ranges_of([row[0] for row in self.rows]):
            yield self.rows[at : at + high - low + 1]
            at += high - low + 1


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
    rows = yield from select_in(
        "p.uid, p.email, p.flags, p.keywords, p.modseq", "", account, mailbox, ranges
    )
    if not rows:
        yield from require_mailbox(account, mailbox)
    refused: list[Uid] = []
    if unchanged_since is not None:
        refused = [row[0] for row in rows if row[4] > unchanged_since]
        rows = [row for row in rows if row[4] <= unchanged_since]
    change = _Change(mode, flags & ALL_FLAGS, keywords, rights)
    groups: dict[tuple[int, str | None], _Group] = {}
    for row in rows:
        before = row[2], row[3]
        group = groups.get(before)
        if group is None:
            group = groups[before] = _Group(*before, change)
        group.rows.append(row)
    changing = [group for group in groups.values() if not group.stays]
    if not changing:
        return FlagResult([Placement(*row) for row in rows], refused, None)
    modseq, _ = yield from next_modseq(account)
    elsewhere = yield from _follow(account, mailbox, modseq, changing)
    yield from add(
        account, mailbox, modseq, total=0, unseen=-_turned(changing, SEEN),
        deleted=_turned(changing, DELETED), octets=0,
    )  # fmt: skip
    yield from _write(tx, account, mailbox, modseq, changing, elsewhere)
    updated = [item for group in groups.values() for item in group.placements(modseq)]
    if len(groups) > 1:
        updated.sort(key=_uid)
    return FlagResult(updated, refused, modseq)


def _turned(groups: Iterable[_Group], flag: int) -> int:
    """How many more have this flag than before."""
    return sum(
        len(group.rows) if group.flags & flag else -len(group.rows)
        for group in groups
        if group.turned & flag
    )


def _write(
    tx: Tx,
    account: AccountId,
    mailbox: MailboxId,
    modseq: int,
    groups: Iterable[_Group],
    elsewhere: list[Record],
) -> Steps[None]:
    """Write what the groups have become, and the records of it and of other placements.

    A long run without a missing UID is one statement for each, however long.
    """
    records, recorded = elsewhere, 0
    for group in groups:
        state = group.flags, group.keywords, modseq, account, mailbox
        few: list[Uid] = []
        for run in group.runs():
            low, high = run[0][0], run[-1][0]
            if len(run) >= LONG:
                yield f"{_SET} AND uid BETWEEN ? AND ?", (*state, low, high)
                kind = group.kind
                yield from record_run(tx, account, modseq, recorded, kind, mailbox, low, high)
                recorded += len(run)
            else:
                few += [row[0] for row in run]
                records += [(group.kind, mailbox, row[0], row[1]) for row in run]
        for marks, uids in lists(few):
            yield f"{_SET} AND uid IN ({marks})", (*state, *uids)
    yield from record(tx, account, modseq, records, recorded)


def _follow(
    account: AccountId, mailbox: MailboxId, modseq: int, groups: Iterable[_Group]
) -> Steps[list[Record]]:
    """Mark the other placements of these emails like these. Returns what to record of them."""
    records: list[Record] = []
    after = {row[1]: group for group in groups if group.follows for row in group.rows}
    if len(after) > FEW and (yield from _each_has_one(account)):
        return records
    rows = yield from select_emails(
        "p.email, p.mailbox, p.uid, p.flags, p.keywords", account, list(after), "",
        "k.mailbox <> ?", mailbox,
    )  # fmt: skip
    for email, other, uid, flags, keywords in rows:
        group = after[email]
        new = group.flags & ~DELETED | flags & DELETED
        if (new, group.keywords) == (flags, keywords):
            continue
        yield f"{_SET} AND uid = ?", (new, group.keywords, modseq, account, other, uid)
        unseen = (not new & SEEN) - (not flags & SEEN)
        yield from add(account, other, modseq, total=0, unseen=unseen, deleted=0, octets=0)
        records.append((group.kind_beside, other, uid, email))
    return records


def _each_has_one(account: AccountId) -> Steps[bool]:
    """Whether no email of the account is in two mailboxes: it has as many placements as emails."""
    rows = yield (
        "SELECT a.emails, (SELECT sum(m.total) FROM mailbox m WHERE m.account = a.account)"
        " FROM account a WHERE a.account = ?",
        (account,),
    )
    return bool(rows) and rows[0][0] == rows[0][1]


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
