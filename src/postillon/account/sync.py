"""What became of emails, threads and mailboxes since a moment: JMAP's /changes (RFC 8620 section 5.2).

All is read from the change log, account-wide. What stands at the beginning of a window and at its end
is found from the records behind either moment and from what is there now. Of an email each mailbox is
asked by itself: the first record that places, removes, hides or shows it there says how it was before,
and where there is none it is as now. So whoever sees some of the mailboxes is answered as exactly as
the owner. What was created and removed within the window does not appear.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from postillon.account import grants
from postillon.account.changes import TOMBSTONES, Kind
from postillon.account.ids import AccountId
from postillon.account.keywords import DELETED
from postillon.account.mailboxes import deleted_mailboxes
from postillon.account.ranges import lists, select_emails
from postillon.account.rights import NONE, Right
from postillon.account.roll import Roll
from postillon.store.operation import Row, Steps

MOST = 5_000  # ids in one answer, unless fewer are asked for
AT_ONCE = 20_000  # records of the log that are read for one answer


class CannotTell(Exception):
    """The log does not reach back so far."""


class Point(NamedTuple):
    """A moment within the log: all records up to `modseq`, and the first `n` of the next one.

    told: of the mailboxes that the record after these concerns, how many have been told already.
    """

    modseq: int
    n: int = 0
    told: int = 0


@dataclass(frozen=True, slots=True)
class Eyes:
    """What somebody sees of an account. rights: by mailbox; None for the owner, who sees all.

    actor: who that is, 0 for the owner.
    """

    rights: dict[int, Right] | None = None
    actor: int = 0

    def may(self, mailbox: int, wanted: Right) -> bool:
        return self.rights is None or not (wanted | Right.LOOKUP) & ~self.rights.get(
            mailbox, Right(0)
        )

    def reads(self, mailbox: int) -> bool:
        return self.rights is None or self.may(mailbox, Right.READ)

    @property
    def readable(self) -> frozenset[int] | None:
        """The mailboxes whose emails are seen; None: all of them."""
        return None if self.rights is None else frozenset(filter(self.reads, self.rights))


@dataclass(slots=True)
class Changes:
    """Ids, each in one list, in the order of their first change. until: what is told so far."""

    until: Point
    more: bool
    created: list[int] = field(default_factory=list)
    updated: list[int] = field(default_factory=list)
    destroyed: list[int] = field(default_factory=list)
    threads: dict[int, int] = field(default_factory=dict)  # of emails; 0: not known any more
    counts_only: bool = False  # of mailboxes: no other property of an updated one has changed

    def put(self, item: int, before: bool, after: bool) -> None:
        if before and after:
            self.updated.append(item)
        elif after:
            self.created.append(item)
        elif before:
            self.destroyed.append(item)


TELLING = TOMBSTONES | {Kind.CREATED, Kind.HIDDEN, Kind.SHOWN}  # whether an email is shown


class Logged(NamedTuple):
    kind: int
    mailbox: int
    object: int
    modseq: int
    n: int
    thread: int


def _was_shown(item: Logged) -> bool:
    """Whether an email was shown in this mailbox before a record that tells it."""
    return item.kind == Kind.HIDDEN or (item.kind in TOMBSTONES and item.thread >= 0)


_Counted = Callable[[Logged], int]  # the id that a record adds to an answer


@dataclass(frozen=True, slots=True)
class _Email:
    """What is known now of an email in the log."""

    thread: int  # 0: unknown
    shown_in: frozenset[int]  # mailboxes that are seen


@dataclass(slots=True)
class _Window:
    """Records between two moments, and the later ones of the same emails."""

    until: Point
    more: bool
    records: list[Logged]
    later: dict[int, list[Logged]]  # by email
    emails: dict[int, _Email]
    eyes: Eyes  # of mailboxes that have gone too

    def by_email(self) -> dict[int, list[Logged]]:
        found: dict[int, list[Logged]] = {}
        for item in self.records:
            if item.kind < Kind.MAILBOX_CREATED:
                found.setdefault(item.object, []).append(item)
        return found

    def shown(self, email: int, behind: Sequence[Logged]) -> bool:
        """Whether an email was shown at a moment. behind: its records after it."""
        first: dict[int, Logged] = {}
        for item in behind:
            if item.kind in TELLING:
                first.setdefault(item.mailbox, item)
        return (
            any(map(_was_shown, first.values())) or not self.emails[email].shown_in <= first.keys()
        )

    def flips(self) -> list[tuple[int, bool, bool]]:
        """Each email of the window with whether it was shown before and after."""
        return [
            (
                email,
                self.shown(email, [*records, *self.later.get(email, ())]),
                self.shown(email, self.later.get(email, ())),
            )
            for email, records in self.by_email().items()
        ]


def email_changes(
    account: AccountId, since: Point, now: int, eyes: Eyes, most: int | None
) -> Steps[Changes]:
    """now: the account's MODSEQ. Raises CannotTell."""
    window = yield from _window(account, since, now, eyes, most, lambda item: item.object)
    found = Changes(window.until, window.more)
    for email, before, after in window.flips():
        found.put(email, before, after)
        found.threads[email] = window.emails[email].thread
    return found


def thread_changes(
    account: AccountId, since: Point, now: int, eyes: Eyes, most: int | None, roll: Roll
) -> Steps[Changes]:
    """Threads whose emails are others than before. Raises CannotTell."""
    window = yield from _window(account, since, now, eyes, most, lambda item: item.object)
    before: dict[int, bool] = {}
    after: dict[int, bool] = {}
    touched = {}
    for email, was, is_ in window.flips():
        touched[email] = was, is_
        if was != is_:
            thread = window.emails[email].thread
            if not thread:
                raise CannotTell
            before[thread] = before.get(thread, False) or was
            after[thread] = after.get(thread, False) or is_
    for email, (was, is_) in touched.items():
        thread = window.emails[email].thread
        if thread in before and was == is_:
            before[thread] |= was
            after[thread] |= is_
    others = yield from _beside(account, window, roll, before.keys())
    for email, thread in others.items():
        if email not in touched and window.shown(email, window.later.get(email, ())):
            before[thread] = after[thread] = True
    found = Changes(window.until, window.more)
    for thread in before:
        found.put(thread, before[thread], after[thread])
    return found


def _beside(
    account: AccountId, window: _Window, roll: Roll, threads: Collection[int]
) -> Steps[dict[int, int]]:
    """All emails of these threads that may have been shown at the end of the window, by id.

    Where the window ends before now, these are also such as have been hidden or have gone since.
    """
    found: dict[int, int] = {}
    for thread in threads:
        for row in roll.of_thread(thread):
            found[roll.emails[row]] = thread
            if not window.more:
                shown_in = frozenset(filter(window.eyes.reads, roll.mailboxes(row)))
                window.emails.setdefault(roll.emails[row], _Email(thread, shown_in))
    if not window.more:
        return found
    ends: list[Logged] = []
    for email, records in window.later.items():
        thread = abs(records[-1].thread) if records[-1].kind in TOMBSTONES else 0
        if thread:
            ends.append(records[-1])
        elif (at := roll.row_of_any(email)) is not None:
            thread = roll.threads[at]
        if thread in threads:
            found[email] = thread
    window.emails |= yield from _emails(account, found, window.eyes, ends)
    return found


def mailbox_changes(
    account: AccountId, since: Point, now: int, eyes: Eyes, most: int | None, roll: Roll
) -> Steps[Changes]:
    """Mailboxes of which a property or a count may have changed. Raises CannotTell."""
    window = yield from _window(account, since, now, eyes, most, lambda item: item.mailbox)
    there = yield from _mailboxes(account, eyes)
    touched: dict[int, None] = {}
    properties: set[int] = set()
    created: set[int] = set()
    deleted: set[int] = set()
    found = Changes(window.until, window.more)
    room = MOST if most is None else min(most, MOST)
    skip = since.told
    for item in window.records:
        concerned = _concerned(item, window, since, roll)
        for number, mailbox in enumerate(concerned[skip:], skip):
            if mailbox not in touched and len(touched) == room:
                found.until, found.more = Point(item.modseq - 1, item.n, number), True
                break
            touched.setdefault(mailbox)
        if found.until != window.until:
            break
        skip = 0
        if item.kind >= Kind.MAILBOX_CREATED and concerned:
            properties.add(item.mailbox)
            if item.kind == Kind.MAILBOX_CREATED:
                created.add(item.mailbox)
            elif item.kind == Kind.MAILBOX_DELETED:
                deleted.add(item.mailbox)
    later_gone: set[int] = set()
    if found.more:
        rows = yield from _log(account, found.until, now, Kind.MAILBOX_CREATED)
        later_gone = {item.object for item in rows if item.kind == Kind.MAILBOX_DELETED}
    for mailbox in touched:
        after = mailbox in there or mailbox in later_gone
        before = mailbox not in created and (after or mailbox in deleted)
        found.put(mailbox, before, after)
    found.counts_only = not properties & set(found.updated)
    return found


def _concerned(item: Logged, window: _Window, since: Point, roll: Roll) -> list[int]:
    """The mailboxes that a record changes: its own, and those that hold others of the thread.

    A thread is unread in one mailbox for what is unread in another.
    """
    if item.kind == Kind.ANNOTATED:
        return []
    if item.kind >= Kind.MAILBOX_CREATED:
        return [item.mailbox]
    known = window.emails[item.object]
    beside: set[int] = set()
    if known.thread and item.kind != Kind.CHANGED:
        for row in roll.of_thread(known.thread):
            beside.update(filter(window.eyes.reads, roll.mailboxes(row)))
    return [item.mailbox, *sorted(beside - {item.mailbox})]


def _window(
    account: AccountId,
    since: Point,
    now: int,
    eyes: Eyes,
    most: int | None,
    counted: _Counted,
) -> Steps[_Window]:
    rows = yield ("SELECT low_modseq FROM account WHERE account = ?", (account,))
    if not rows or since.modseq < rows[0][0] or since.modseq > now:
        raise CannotTell
    records = yield from _log(account, since, now)
    eyes = yield from _eyes_then(account, records, eyes)
    meant = yield from _meant(eyes, records)
    more = len(records) > AT_ONCE
    room = MOST if most is None else min(most, MOST)
    met: set[int] = set()
    kept: list[Logged] = []
    until = Point(now)
    for number, item in enumerate(records):
        if number == AT_ONCE:
            until = _before(item)
            break
        if item.kind == Kind.GRANTED and eyes.rights is not None:
            if item.object in meant and not item.thread:
                raise CannotTell  # what is seen is not what was seen
            continue
        if not eyes.may(item.mailbox, Right.LOOKUP | _wanted(item.kind)):
            continue
        thing = counted(item)
        if thing not in met and len(met) == room:
            until, more = _before(item), True
            break
        met.add(thing)
        kept.append(item)
    later: dict[int, list[Logged]] = {}
    behind: list[Logged] = []
    if more:
        behind = yield from _log(account, until, now, limit=10 * AT_ONCE)
        eyes = yield from _eyes_then(account, behind, eyes)
        for item in behind:
            if item.kind < Kind.MAILBOX_CREATED and eyes.reads(item.mailbox):
                later.setdefault(item.object, []).append(item)
    ids = {item.object for item in kept if item.kind < Kind.MAILBOX_CREATED}
    # What is not seen says too which thread an email was of that has gone.
    emails = yield from _emails(account, ids, eyes, [*records, *behind])
    return _Window(until, more, kept, later, emails, eyes)


def _wanted(kind: int) -> Right:
    """The right without which a record is nobody's business."""
    return Right.LOOKUP if kind >= Kind.MAILBOX_CREATED else Right.READ


def _eyes_then(account: AccountId, records: Sequence[Logged], eyes: Eyes) -> Steps[Eyes]:
    """Eyes that see what became of mailboxes that have gone, with the rights that went with them."""
    if eyes.rights is None:
        return eyes
    unknown = {item.mailbox for item in records} - eyes.rights.keys() - {0}
    if not unknown:
        return eyes
    rows = yield ("SELECT mailbox FROM mailbox WHERE account = ? AND parent >= 0", (account,))
    unknown -= {mailbox for (mailbox,) in rows}
    said = [item for item in records if item.kind == Kind.GRANTED and item.thread]
    earlier = unknown - {item.mailbox for item in records if item.kind == Kind.MAILBOX_DELETED}
    for marks, some in lists(sorted(earlier)):  # the log is read through: this is rare
        found = yield (
            "SELECT kind, mailbox, object, modseq, n, thread FROM change WHERE account = ?"  # noqa: S608
            f" AND kind = ? AND thread > 0 AND mailbox IN ({marks})",
            (account, int(Kind.GRANTED), *some),
        )
        said += [Logged(*row) for row in found]
    meant = yield from _meant(eyes, said)
    rights = dict(eyes.rights)
    for item in said:
        if item.mailbox in unknown and item.object in meant:
            rights[item.mailbox] = rights.get(item.mailbox, NONE) | Right(item.thread)
    return replace(eyes, rights=rights)


def _meant(eyes: Eyes, records: Iterable[Logged]) -> Steps[set[int]]:
    """Of the grantees in the log those that are the actor."""
    if eyes.rights is None:
        return set()
    grantees = {item.object for item in records if item.kind == Kind.GRANTED}
    return (yield from grants.names(eyes.actor, grantees))


def _before(item: Logged) -> Point:
    return Point(item.modseq - 1, item.n)


def _log(
    account: AccountId, since: Point, now: int, kinds_from: int = 0, limit: int = AT_ONCE + 1
) -> Steps[list[Logged]]:
    if since.modseq >= now:
        return []
    rows = yield (
        "SELECT kind, mailbox, object, modseq, n, thread FROM change WHERE account = ?"
        " AND modseq > ? AND modseq <= ? AND kind >= ? AND kind < 20 ORDER BY modseq, n LIMIT ?",
        (account, since.modseq, now, kinds_from, limit + since.n),
    )
    found = [Logged(*row) for row in rows]
    if since.n:
        found = [item for item in found if item.modseq > since.modseq + 1 or item.n >= since.n]
    return found


def _emails(
    account: AccountId, ids: Iterable[int], eyes: Eyes, records: Sequence[Logged]
) -> Steps[dict[int, _Email]]:
    wanted = sorted(ids)
    rows: list[Row] = []
    for marks, some in lists(wanted):
        rows += yield (
            "SELECT email, thread FROM email WHERE account = ?"  # noqa: S608
            f" AND email IN ({marks})",
            (account, *some),
        )
    placed = yield from select_emails("p.email, p.mailbox, p.flags", account, wanted)
    doomed = yield from deleted_mailboxes(account)
    shown: dict[int, set[int]] = {}
    for email, mailbox, flags in placed:
        if not flags & DELETED and mailbox not in doomed and eyes.reads(mailbox):
            shown.setdefault(email, set()).add(mailbox)
    gone = {item.object: abs(item.thread) for item in records if item.kind in TOMBSTONES}
    threads = gone | dict(rows)
    return {
        email: _Email(threads.get(email, 0), frozenset(shown.get(email, ()))) for email in wanted
    }


def _mailboxes(account: AccountId, eyes: Eyes) -> Steps[set[int]]:
    rows = yield ("SELECT mailbox FROM mailbox WHERE account = ? AND parent >= 0", (account,))
    return {mailbox for (mailbox,) in rows if eyes.may(mailbox, Right.LOOKUP)}
