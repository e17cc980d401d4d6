"""The roll of an account: of every email the few facts that lists are made of, in memory.

A column is an array, an email a row of it, in the order of their ids; so 500,000 emails take some 30
MB, and any number of them is looked through without asking the database. Only what may be seen is
placed: an email that is marked \\Deleted everywhere stands in no mailbox (RFC 8621 section 4.1.1). Who
fills and moves a roll is `account.rolls`; this module knows no database.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, insort
from collections.abc import Iterable, Sequence
from operator import itemgetter
from typing import NamedTuple

from postillon.account.keywords import (
    ANSWERED,
    DRAFT,
    FLAG_OF_KEYWORD,
    FLAGGED,
    SEEN,
    split_keywords,
)

NOWHERE = 0  # `homes` of an email that is in no mailbox: it is gone, or hidden
SEVERAL = -1  # of one in more than one
KEPT = SEEN | ANSWERED | FLAGGED | DRAFT
# Beside the flags, what has been found out and never changes.
ATTACHED, LOOKED = 32, 64  # has an attachment; whether it has is known
MAX_SIZE = 2**32 - 1
NO_DATE = -(2**62)  # `sent` where there is no Date


MAX_VIEWS = 8  # kinds of lookers whose counts are kept

Row = tuple[int, int, int, int | None, int]
Seen = frozenset[int] | None  # the mailboxes that somebody may read; None: all of them


class Entry(NamedTuple):
    """What never changes of an email. Times in ms, size in octets."""

    email: int
    thread: int
    received_at: int
    sent_at: int | None
    size: int


class Counts(NamedTuple):
    """What a mailbox holds (RFC 8621 section 2)."""

    emails: int = 0
    unread: int = 0
    threads: int = 0
    unread_threads: int = 0  # with what other mailboxes hold of them, the trash apart
    unread_here: int = 0  # threads with an unread email in this very mailbox


class Roll:
    """Rows are numbers from 0; a row keeps its number and its email for the life of a roll."""

    def __init__(self, epoch: int, modseq: int, trash: int = 0) -> None:
        self.epoch = epoch
        self.modseq = modseq
        self.trash = trash  # the mailbox with that role; 0: none has it
        self.emails = array("q")
        self.threads = array("q")
        self.received = array("q")
        self.sent = array("q")
        self.sizes = array("I")
        self.flags = array("B")
        self.homes = array("q")
        self.words = array("I")  # index into `spellings`
        self.spellings: list[frozenset[str]] = [frozenset()]
        self._spelt: dict[str | None, int] = {None: 0}
        self._several: dict[int, tuple[int, ...]] = {}
        self._orders: dict[int, array[int]] = {}  # rows by (received, email), ascending
        self._everything: array[int] | None = None  # the same of all that are in a mailbox
        self._by_thread = array("I")  # rows by (thread, email), ascending
        self._counts: dict[Seen, dict[int, list[int]]] = {}  # by who looks
        self.idle = 0  # rows that are in no mailbox

    def __len__(self) -> int:
        return len(self.emails)

    # Looking

    def row(self, email: int) -> int | None:
        """The row of an email that is in a mailbox; None for any other."""
        at = self._row(email)
        return None if at is None or self.homes[at] == NOWHERE else at

    def row_of_any(self, email: int) -> int | None:
        """The same, also of one that is hidden or gone."""
        return self._row(email)

    def mailboxes(self, row: int) -> tuple[int, ...]:
        home = self.homes[row]
        if home == SEVERAL:
            return self._several[row]
        return () if home == NOWHERE else (home,)

    def is_in(self, row: int, mailbox: int) -> bool:
        home = self.homes[row]
        return home == mailbox or (home == SEVERAL and mailbox in self._several[row])

    def order(self, mailbox: int) -> Sequence[int]:
        """The rows of a mailbox, oldest first; by id where they came at the same time."""
        return self._orders.get(mailbox, ())

    def everything(self) -> Sequence[int]:
        """The rows of all emails that are in a mailbox, in the same order."""
        if self._everything is None:
            rows = [row for row, home in enumerate(self.homes) if home != NOWHERE]
            rows.sort(key=self.received.__getitem__)
            self._everything = array("I", rows)
        return self._everything

    def of_thread(self, thread: int) -> list[int]:
        """The rows of a thread that are in a mailbox, by id."""
        return [row for row in self._thread(thread) if self.homes[row] != NOWHERE]

    def keywords(self, row: int) -> frozenset[str]:
        """All of them, as JMAP names them."""
        found = self.spellings[self.words[row]]
        flags = self.flags[row] & KEPT
        if not flags:
            return found
        return found | {word for word, bit in FLAG_OF_KEYWORD.items() if flags & bit}

    def count(self, mailbox: int, seen: Seen = None) -> Counts:
        """As somebody has it who may read the mailboxes `seen`; what others hold counts nowhere."""
        if seen not in self._counts:
            if len(self._counts) >= MAX_VIEWS:
                self._counts.clear()
            counts = self._counts[seen] = {}
            for rows in self._each_thread():
                self._weigh(rows, 1, counts, seen)
        return Counts(*self._counts[seen].get(mailbox, ()))

    # Filling

    def load(self, entries: Sequence[Row]) -> None:
        """All emails as (email, thread, received, sent, size), by id, into an empty roll.

        They are in no mailbox yet. Column by column: a loop over all rows takes five times as long.
        """
        size = len(entries)
        self.emails = array("q", map(itemgetter(0), entries))
        self.threads = array("q", map(itemgetter(1), entries))
        self.received = array("q", map(itemgetter(2), entries))
        self.sent = array("q", (NO_DATE if row[3] is None else row[3] for row in entries))
        self.sizes = array("I", (min(row[4], MAX_SIZE) for row in entries))
        self.flags = array("B", bytes(size))
        self.homes = array("q", bytes(8 * size))
        self.words = array("I", bytes(self.words.itemsize * size))
        rows = sorted(range(size), key=self.threads.__getitem__)
        self._by_thread = array("I", rows)
        self.idle = size

    def place(self, placements: Iterable[tuple[int, int, int, str | None]]) -> None:
        """All placements that are seen as (mailbox, email, flags, keywords), after `load`."""
        found: dict[int, array[int]] = {}
        homes, flags, words, spelt = self.homes, self.flags, self.words, self._spelt
        row_of = dict(zip(self.emails, range(len(self.emails)), strict=True))
        for mailbox, email, some, keywords in placements:
            row = row_of.get(email)
            if row is None:
                continue
            home = homes[row]
            if home == NOWHERE:
                homes[row] = mailbox
                self.idle -= 1
            elif home == mailbox:
                continue  # damaged: it can be in a mailbox once
            else:
                self._several[row] = tuple(sorted({*self.mailboxes(row), mailbox}))
                homes[row] = SEVERAL
            if mailbox not in found:
                found[mailbox] = array("I")
            found[mailbox].append(row)
            flags[row] = some & KEPT
            words[row] = spelt[keywords] if keywords in spelt else self._spelling(keywords)
        for mailbox, placed in found.items():
            rows = sorted(placed)
            rows.sort(key=self.received.__getitem__)
            self._orders[mailbox] = array("I", rows)

    # Moving on

    def add(self, entry: Entry) -> None:
        """An email with a higher id than all others; it is in no mailbox yet."""
        row = self._append(*entry)
        at = bisect_left(self._by_thread, entry.thread + 1, key=self.threads.__getitem__)
        self._by_thread.insert(at, row)
        self.idle += 1

    def knows(self, email: int) -> bool:
        return self._row(email) is not None

    def set(self, email: int, mailboxes: tuple[int, ...], flags: int, keywords: str | None) -> None:
        """Where an email is now, and how it is marked. mailboxes: sorted, each once."""
        row = self._row(email)
        assert row is not None
        before = self.mailboxes(row)
        marks, spelling = flags & KEPT, self._spelling(keywords)
        turned = (self.flags[row] ^ marks) & (SEEN | DRAFT)
        heavy = bool(self._counts) and (before != mailboxes or bool(turned))
        rows = self._thread(self.threads[row]) if heavy else []
        for seen, counts in self._counts.items() if heavy else ():
            self._weigh(rows, -1, counts, seen)
        self.flags[row] = self.flags[row] & ~KEPT | marks
        self.words[row] = spelling
        if before != mailboxes:
            self._settle(row, before, mailboxes)
        for seen, counts in self._counts.items() if heavy else ():
            self._weigh(rows, 1, counts, seen)

    def forget_mailbox(self, mailbox: int) -> None:
        """A mailbox is gone, with what was in it."""
        self.forget_counts()
        self._everything = None
        for row in self._orders.get(mailbox, array("I")).tolist():
            before = self.mailboxes(row)
            self._settle(row, before, tuple(one for one in before if one != mailbox), whole=mailbox)
        self._orders.pop(mailbox, None)

    def forget_counts(self) -> None:
        """Have them made anew: cheaper than moving them when much has changed."""
        self._counts.clear()

    def set_trash(self, mailbox: int) -> None:
        if mailbox != self.trash:
            self.trash = mailbox
            self.forget_counts()

    def _settle(
        self, row: int, before: tuple[int, ...], after: tuple[int, ...], whole: int = 0
    ) -> None:
        """Take a row from one set of mailboxes to another. whole: one whose order goes anyway."""
        for mailbox in before:
            if mailbox not in after and mailbox != whole:
                self._take_out(self._orders[mailbox], row)
        for mailbox in after:
            if mailbox not in before:
                self._put_in(self._orders.setdefault(mailbox, array("I")), row)
        if self._everything is not None and bool(before) != bool(after):
            (self._put_in if after else self._take_out)(self._everything, row)
        self.idle += (not after) - (not before)
        self._several.pop(row, None)
        if len(after) > 1:
            self._several[row] = after
            self.homes[row] = SEVERAL
        else:
            self.homes[row] = after[0] if after else NOWHERE

    def _put_in(self, order: array[int], row: int) -> None:
        key = self._moment
        if not order or key(order[-1]) < key(row):
            order.append(row)
        else:
            insort(order, row, key=key)

    def _take_out(self, order: array[int], row: int) -> None:
        at = bisect_left(order, self._moment(row), key=self._moment)
        if at < len(order) and order[at] == row:
            order.pop(at)

    def _moment(self, row: int) -> tuple[int, int]:
        return self.received[row], row

    def _append(
        self, email: int, thread: int, received_at: int, sent_at: int | None, size: int
    ) -> int:
        self.emails.append(email)
        self.threads.append(thread)
        self.received.append(received_at)
        self.sent.append(NO_DATE if sent_at is None else sent_at)
        self.sizes.append(min(size, MAX_SIZE))
        self.flags.append(0)
        self.homes.append(NOWHERE)
        self.words.append(0)
        return len(self.emails) - 1

    def _row(self, email: int) -> int | None:
        at = bisect_left(self.emails, email)
        return at if at < len(self.emails) and self.emails[at] == email else None

    def _spelling(self, keywords: str | None) -> int:
        known = self._spelt.get(keywords)
        if known is None:
            known = self._spelt[keywords] = len(self.spellings)
            self.spellings.append(split_keywords(keywords))
        return known

    # Threads and counts

    def _thread(self, thread: int) -> Sequence[int]:
        low = bisect_left(self._by_thread, thread, key=self.threads.__getitem__)
        high = low
        size, threads = len(self._by_thread), self.threads
        while high < size and threads[self._by_thread[high]] == thread:
            high += 1
        return self._by_thread[low:high]

    def _each_thread(self) -> Iterable[Sequence[int]]:
        by_thread, threads = self._by_thread, self.threads
        start, size = 0, len(by_thread)
        while start < size:
            thread, stop = threads[by_thread[start]], start + 1
            while stop < size and threads[by_thread[stop]] == thread:
                stop += 1
            yield by_thread[start:stop]
            start = stop

    def _weigh(
        self, rows: Sequence[int], sign: int, counts: dict[int, list[int]], seen: Seen
    ) -> None:
        """Count a thread in (1) or out (-1), as far as it is seen.

        A thread is unread in a mailbox where any email of it is; the trash is a world of its own: what
        lies only there counts nowhere else, and nothing from elsewhere counts there.
        """
        everywhere: set[int] = set()
        unread_in: set[int] = set()
        for row in rows:
            mailboxes = self.mailboxes(row)
            unread = not self.flags[row] & (SEEN | DRAFT)
            for mailbox in mailboxes:
                if seen is not None and mailbox not in seen:
                    continue
                count = counts.setdefault(mailbox, [0, 0, 0, 0, 0])
                count[0] += sign
                everywhere.add(mailbox)
                if unread:
                    count[1] += sign
                    unread_in.add(mailbox)
        outside = bool(unread_in - {self.trash})
        for mailbox in everywhere:
            count = counts[mailbox]
            count[2] += sign
            if mailbox in unread_in if mailbox == self.trash else outside:
                count[3] += sign
            if mailbox in unread_in:
                count[4] += sign
