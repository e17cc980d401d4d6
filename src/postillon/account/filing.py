"""Changing emails by their ids, wherever they lie: keywords, mailboxes, removal (RFC 8621 section 4.6).

One email may lie in several mailboxes, with the same keywords in each. What is marked \\Deleted there
is not seen from here and stays as it is, until the email itself is removed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from postillon.account import transfer
from postillon.account.changes import Kind, Record, record, tombstone
from postillon.account.counters import add, next_modseq
from postillon.account.errors import (
    AccountError,
    EmailGone,
    MailboxNotFound,
    NotAllowed,
    NowhereFiled,
)
from postillon.account.ids import AccountId, MailboxId
from postillon.account.keywords import (
    DELETED,
    FLAG_OF_KEYWORD,
    SEEN,
    check_keywords,
    join_keywords,
    split_keywords,
)
from postillon.account.mailboxes import deleted_mailboxes
from postillon.account.ranges import select_emails
from postillon.account.rights import TAKE_OUT, Right
from postillon.account.sync import Eyes
from postillon.store.operation import Row, Steps, Tx

V = TypeVar("V")
OTHERS = frozenset(FLAG_OF_KEYWORD)


@dataclass(frozen=True, slots=True)
class Edit(Generic[V]):
    """A change of a set. whole: what it becomes; None: what was there, with and without these."""

    whole: frozenset[V] | None = None
    more: frozenset[V] = frozenset()
    less: frozenset[V] = frozenset()

    def __call__(self, old: frozenset[V]) -> frozenset[V]:
        return (old if self.whole is None else self.whole) - self.less | self.more


@dataclass(frozen=True, slots=True)
class Update:
    """keywords: as JMAP names them, in lower case."""

    email: int
    keywords: Edit[str] | None = None
    mailboxes: Edit[int] | None = None


@dataclass(frozen=True, slots=True)
class _Place:
    mailbox: int
    uid: int
    flags: int
    keywords: str | None
    size: int
    thread: int


def marks(keywords: frozenset[str]) -> tuple[int, str | None]:
    """Flags and the column of the other keywords. Raises BadKeyword or TooManyKeywords."""
    flags = 0
    for word in keywords & OTHERS:
        flags |= FLAG_OF_KEYWORD[word]
    return flags, join_keywords(check_keywords(keywords - OTHERS))


def update(
    tx: Tx, account: AccountId, updates: Sequence[Update], eyes: Eyes
) -> Steps[list[AccountError | None]]:
    """Change each email or, where its error says why, not. All that is changed has one MODSEQ."""
    found = yield from _places(account, [item.email for item in updates])
    takers = yield from _takers(account)
    outcome: list[AccountError | None] = []
    modseq = 0
    records: list[Record] = []
    for item in updates:
        try:
            change = _plan(item, found.get(item.email, []), eyes, takers)
        except AccountError as error:
            outcome.append(error)
            continue
        outcome.append(None)
        if not change.changes:
            continue
        if not modseq:
            modseq, _ = yield from next_modseq(account)
        records += yield from _carry_out(tx, account, modseq, item.email, change)
        # The same email may come again.
        found |= yield from _places(account, [item.email])
    if records:
        yield from record(tx, account, modseq, records)
    return outcome


@dataclass(frozen=True, slots=True)
class _Plan:
    stay: list[_Place]
    leave: list[_Place]
    enter: list[int]
    flags: int
    keywords: str | None

    @property
    def marked(self) -> list[_Place]:
        """Those that stay and are marked otherwise now."""
        return [place for place in self.stay if self._new(place) != (place.flags, place.keywords)]

    @property
    def changes(self) -> bool:
        return bool(self.leave or self.enter or self.marked)

    def _new(self, place: _Place) -> tuple[int, str | None]:
        return self.flags | place.flags & DELETED, self.keywords


def _plan(item: Update, places: list[_Place], eyes: Eyes, takers: set[int]) -> _Plan:
    """Raises EmailGone, MailboxNotFound, NotAllowed, NowhereFiled, BadKeyword, TooManyKeywords."""
    seen = [place for place in places if not place.flags & DELETED and eyes.reads(place.mailbox)]
    if not seen:
        raise EmailGone(item.email)
    old_words = _words(seen[0])
    words = item.keywords(old_words) if item.keywords else old_words
    for mailbox in {place.mailbox for place in places if not place.flags & DELETED}:
        turned = words ^ old_words
        if "$seen" in turned and not eyes.may(mailbox, Right.KEEP_SEEN):
            raise NotAllowed(mailbox)
        if turned - {"$seen"} and not eyes.may(mailbox, Right.WRITE):
            raise NotAllowed(mailbox)
    flags, keywords = marks(words) if words != old_words else (seen[0].flags, seen[0].keywords)
    before = frozenset(place.mailbox for place in seen)
    after = item.mailboxes(before) if item.mailboxes else before
    for mailbox in after - before:
        if mailbox not in takers or not eyes.may(mailbox, Right.LOOKUP):
            raise MailboxNotFound(mailbox)
        if not eyes.may(mailbox, Right.INSERT):
            raise NotAllowed(mailbox)
    for mailbox in before - after:
        if not eyes.may(mailbox, TAKE_OUT):
            raise NotAllowed(mailbox)
    if not after and before:
        raise NowhereFiled(item.email)
    enter = after - before
    # A hidden placement where it is to be seen again makes room for the new one.
    leave = [
        place
        for place in places
        if place.mailbox in enter or (place in seen and place.mailbox not in after)
    ]
    stay = [place for place in places if place not in leave]
    return _Plan(stay, leave, sorted(enter), flags & ~DELETED, keywords)


def _words(place: _Place) -> frozenset[str]:
    found = split_keywords(place.keywords)
    return found | {word for word, bit in FLAG_OF_KEYWORD.items() if place.flags & bit}


def _carry_out(
    tx: Tx, account: AccountId, modseq: int, email: int, plan: _Plan
) -> Steps[list[Record]]:
    """Returns what to record: first what was there before, so that nobody takes it for new."""
    records: list[Record] = []
    touched = plan.stay if plan.enter else plan.marked
    for place in touched:
        new = plan.flags | place.flags & DELETED
        yield (
            "UPDATE placement SET flags = ?, keywords = ?, modseq = ?"
            " WHERE account = ? AND mailbox = ? AND uid = ?",
            (new, plan.keywords, modseq, account, place.mailbox, place.uid),
        )
        unseen = (not new & SEEN) - (not place.flags & SEEN)
        yield from add(
            account, MailboxId(place.mailbox), modseq, total=0, unseen=unseen, deleted=0, octets=0
        )
        kind = Kind.SEEN if unseen else Kind.CHANGED
        records.append((kind, place.mailbox, place.uid, email))
    for place in plan.leave:
        yield (
            "DELETE FROM placement WHERE account = ? AND mailbox = ? AND uid = ?",
            (account, place.mailbox, place.uid),
        )
        yield from add(
            account, MailboxId(place.mailbox), modseq, total=-1, unseen=-(not place.flags & SEEN),
            deleted=-(place.flags & DELETED != 0), octets=-place.size,
        )  # fmt: skip
        records.append(
            tombstone(Kind.MOVED, place.mailbox, place.uid, email, place.flags, place.thread)
        )
    size = (plan.stay + plan.leave)[0].size
    for mailbox in plan.enter:
        uid = yield from _enter(
            tx, account, modseq, mailbox, email, plan.flags, plan.keywords, size
        )
        records.append((Kind.CREATED, mailbox, uid, email))
    return records


def _enter(
    tx: Tx,
    account: AccountId,
    modseq: int,
    mailbox: int,
    email: int,
    flags: int,
    keywords: str | None,
    size: int,
) -> Steps[int]:
    """Put an email that is there already into one mailbox more. Returns its UID."""
    uid, _ = yield from add(
        account, MailboxId(mailbox), modseq, total=1, unseen=int(not flags & SEEN), deleted=0,
        octets=size, uids=1,
    )  # fmt: skip
    rows = yield (
        "UPDATE account SET next_id = next_id + 1 WHERE account = ? RETURNING next_id - 1",
        (account,),
    )
    yield (
        "INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
        " created, saved_at) VALUES (?,?,?,?,?,?,?,?,?,?)",
        (account, mailbox, uid, email, rows[0][0], flags, keywords, modseq, modseq, tx.now),
    )
    return uid


def destroy(
    tx: Tx, account: AccountId, emails: Sequence[int], eyes: Eyes
) -> Steps[list[AccountError | None]]:
    """Remove each email from all mailboxes or, where its error says why, not."""
    found = yield from _places(account, emails)
    outcome: list[AccountError | None] = []
    going: dict[int, list[Row]] = {}
    met: set[int] = set()
    for email in emails:
        places = found.get(email, [])
        seen = [p for p in places if not p.flags & DELETED and eyes.reads(p.mailbox)]
        if not seen or email in met:
            outcome.append(EmailGone(email))
            continue
        barred = [p.mailbox for p in places if not eyes.may(p.mailbox, TAKE_OUT)]
        if barred:
            outcome.append(NotAllowed(barred[0]))
            continue
        met.add(email)
        outcome.append(None)
        for place in places:
            row = (place.uid, email, place.flags, place.size, place.thread)
            going.setdefault(place.mailbox, []).append(row)
    for mailbox, rows in going.items():
        yield from transfer.remove(tx, account, MailboxId(mailbox), rows)
    return outcome


def _places(account: AccountId, emails: Sequence[int]) -> Steps[dict[int, list[_Place]]]:
    """All placements of these emails, by mailbox; without those in mailboxes that are going."""
    found: dict[int, list[_Place]] = {}
    going = yield from deleted_mailboxes(account)
    rows = yield from select_emails(
        "p.email, p.mailbox, p.uid, p.flags, p.keywords, e.size, e.thread",
        account,
        list(dict.fromkeys(emails)),
        "JOIN email e ON e.account = p.account AND e.email = p.email",
    )
    for email, *rest in sorted(rows, key=lambda row: row[:3]):
        if rest[0] not in going:
            found.setdefault(email, []).append(_Place(*rest))
    return found


def _takers(account: AccountId) -> Steps[set[int]]:
    rows = yield (
        "SELECT mailbox FROM mailbox WHERE account = ? AND kind = 0 AND parent >= 0",
        (account,),
    )
    return {mailbox for (mailbox,) in rows}


def check_mailboxes(account: AccountId, places: frozenset[int], eyes: Eyes) -> Steps[None]:
    """Whether an email may come into all of these. Raises MailboxNotFound or NotAllowed."""
    takers = yield from _takers(account)
    for mailbox in sorted(places):
        if mailbox not in takers or not eyes.may(mailbox, Right.LOOKUP):
            raise MailboxNotFound(mailbox)
        if not eyes.may(mailbox, Right.INSERT):
            raise NotAllowed(mailbox)


def check_marks(keywords: frozenset[str], places: frozenset[int], eyes: Eyes) -> None:
    """Whether an email may come into these with these keywords. Raises NotAllowed."""
    for mailbox in places:
        if "$seen" in keywords and not eyes.may(mailbox, Right.KEEP_SEEN):
            raise NotAllowed(mailbox)
        if keywords - {"$seen"} and not eyes.may(mailbox, Right.WRITE):
            raise NotAllowed(mailbox)
