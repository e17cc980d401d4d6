"""Finding emails: a filter, an order, threads collapsed, and no more of it than is asked for."""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postillon.access.jmap.email_filter import (
    Answers,
    Candidate,
    Compiler,
    Glance,
    More,
    by_thread,
    mailbox_of,
    only_mailbox,
    required_texts,
    texts_of,
)
from postillon.access.jmap.email_sort import Order
from postillon.account.errors import EmailGone
from postillon.account.objects import Objects, State
from postillon.account.roll import NOWHERE, Roll
from postillon.account.sync import Eyes
from postillon.log import Log
from postillon.protocol.jmap.standard import Filter
from postillon.store.operation import BlobLost, Steps

ROWS_AT_ONCE = 200  # emails that are looked into between two breaths
HERE = 32 * 1024  # octets of a message that is looked through in the loop's thread
MAX_QUESTIONS = 50  # to the text index; further ones are answered by the messages


_Look = Callable[[Candidate], bool]


@dataclass(slots=True)
class Found:
    """rows: of `roll`, in order. total: None unless it was wanted. whole: whether `rows` is all."""

    roll: Roll
    state: State
    rows: Sequence[int]
    total: int | None
    whole: bool

    def email(self, row: int) -> int:
        return self.roll.emails[row]


@dataclass(frozen=True, slots=True)
class _First:
    """What the roll alone can say, at one moment. rows: in its order; unsure: need a look."""

    roll: Roll
    eyes: Eyes
    rows: Sequence[int]
    unsure: frozenset[int]
    total: int | None
    done: bool  # the rows are the answer


@dataclass(frozen=True, slots=True)
class Search:
    """One question. collapse: only the first email of each thread."""

    objects: Objects
    filter: Filter | None
    order: Order
    collapse: bool
    log: Log

    @property
    def by_thread(self) -> bool:
        """Whether other emails of a thread decide about one."""
        return self.collapse or self.order.by_thread or by_thread(self.filter)

    async def find(self, most: int | None, *, total: bool) -> Found:
        """most: how many of the first are wanted; None for all."""
        answers = await self._ask()

        def look(roll: Roll, eyes: Eyes) -> Steps[_First]:
            yield from ()
            return self._first(roll, eyes, answers, most, total)

        first, state = await self.objects.look(look)
        if first.done:
            whole = most is None or len(first.rows) < most
            return Found(first.roll, state, first.rows, first.total, whole)
        stop = most if self.order.natural is not None and not total else None
        rows = await self._looked_at(first, answers, stop)
        if self.order.natural is None:
            rows = await self.order.sorted(rows, first.roll, first.eyes, self.objects)
        if self.collapse:
            rows = list(_collapsed(rows, first.roll))
        whole = stop is None or len(rows) < stop
        return Found(first.roll, state, rows, len(rows) if total else None, whole)

    async def _ask(self) -> Answers:
        texts = texts_of(self.filter)
        questions = [(text, text.question()) for text in texts]
        asked = [(text, one) for text, one in questions if one is not None][:MAX_QUESTIONS]
        if not asked:
            return {}
        hits = await self.objects.hits([one for _, one in asked])
        return dict(zip((text for text, _ in asked), hits, strict=True))

    def _first(
        self, roll: Roll, eyes: Eyes, answers: Answers, most: int | None, total: bool
    ) -> _First:
        glance = None
        if self.filter is not None:
            glance = Compiler(roll, eyes, answers).glance(self.filter)  # refuses what it must
            if only_mailbox(self.filter):
                glance = None
        rows = self._base(roll, eyes)
        if glance is not None:
            rows = self._narrowed(rows, roll, answers)
        ascending = self.order.natural
        ordered: Iterable[int] = rows if ascending else reversed(rows)
        if ascending is not None and glance is None:
            return self._listed(roll, eyes, rows, ordered, most, total)
        stop = most if ascending is not None and not total and not self.collapse else None
        kept, unsure = _glanced(ordered, glance, stop)
        if unsure or ascending is None:
            return _First(roll, eyes, kept, frozenset(unsure), None, False)
        if self.collapse:
            kept = list(_collapsed(kept, roll, None if total else most))
        return _First(roll, eyes, kept, frozenset(), len(kept) if total else None, True)

    def _base(self, roll: Roll, eyes: Eyes) -> Sequence[int]:
        """All that may match, oldest first."""
        mailbox = mailbox_of(self.filter)
        if mailbox is not None:
            return roll.order(mailbox) if eyes.reads(mailbox) else ()
        rows = roll.everything()
        if eyes.rights is None:
            return rows
        return [row for row in rows if any(map(eyes.reads, roll.mailboxes(row)))]

    def _narrowed(self, rows: Sequence[int], roll: Roll, answers: Answers) -> Sequence[int]:
        """Where the text index leaves few of them, those few and what it does not know yet."""
        hits = [hits for text in required_texts(self.filter) if (hits := answers.get(text))]
        if not hits:
            return rows
        fewest = min(hits, key=lambda one: len(one.emails))
        if len(fewest.emails) + len(fewest.skipped) > len(rows) // 4:
            return rows
        known = map(roll.row, {*fewest.emails, *fewest.skipped})
        later = range(bisect_right(roll.emails, fewest.upto), len(roll))
        found = {row for row in known if row is not None}
        found.update(row for row in later if roll.homes[row] != NOWHERE)
        return sorted(found, key=lambda row: (roll.received[row], row))

    def _listed(
        self,
        roll: Roll,
        eyes: Eyes,
        rows: Sequence[int],
        ordered: Iterable[int],
        most: int | None,
        total: bool,
    ) -> _First:
        """All of a mailbox, or of the account, in the order of the roll."""
        number: int | None = len(rows)
        if self.collapse:
            mailbox = mailbox_of(self.filter)
            number = None
            if total and mailbox is not None:
                number = roll.count(mailbox).threads
            kept = list(
                _collapsed(ordered, roll, most if number is not None or not total else None)
            )
            number = len(kept) if number is None else number
        elif most is None:
            kept = list(ordered)
        else:
            kept = list(
                rows[:most] if self.order.natural else rows[max(len(rows) - most, 0) :][::-1]
            )
        return _First(roll, eyes, kept, frozenset(), number if total else None, True)

    async def _looked_at(self, first: _First, answers: Answers, most: int | None) -> list[int]:
        """Those of the rows that match; most: so many are enough, after threads were collapsed."""
        if not first.unsure or self.filter is None:
            return list(first.rows)
        look = Compiler(first.roll, first.eyes, answers).look(self.filter)
        kept: list[int] = []
        threads: set[int] = set()
        for start in range(0, len(first.rows), ROWS_AT_ONCE):
            some = first.rows[start : start + ROWS_AT_ONCE]
            ids = {row: first.roll.emails[row] for row in some if row in first.unsure}
            facts, _ = (
                await self.objects.read(list(ids.values()), whole=True) if ids else ({}, None)
            )
            for row in some:
                if row in ids:
                    item = facts.get(ids[row])
                    if item is None:
                        continue
                    one = Candidate(row, ids[row], item)
                    if not await self._matches(one, look):
                        continue
                kept.append(row)
                threads.add(first.roll.threads[row])
            if most is not None and (len(threads) if self.collapse else len(kept)) >= most:
                break
            await asyncio.sleep(0)
        return kept

    async def _matches(self, one: Candidate, look: _Look) -> bool:
        try:
            return look(one)
        except More:
            pass
        item = one.known()
        try:
            one.content = await self.objects.octets(item)
            if item.size <= HERE:
                return look(one)
            return await asyncio.to_thread(look, one)
        except EmailGone:
            return False
        except BlobLost as error:
            self.log.error("blob_lost", error=repr(error), email=item.email)
            return False


def _glanced(
    ordered: Iterable[int], glance: Glance | None, most: int | None
) -> tuple[list[int], list[int]]:
    """Rows that match or may, and of them those that may."""
    if glance is None:
        return list(ordered), []
    kept: list[int] = []
    unsure: list[int] = []
    for row in ordered:
        says = glance(row)
        if says is False:
            continue
        kept.append(row)
        if says is None:
            unsure.append(row)
        elif most is not None and len(kept) - len(unsure) >= most:
            break
    return kept, unsure


def _collapsed(rows: Iterable[int], roll: Roll, most: int | None = None) -> Iterator[int]:
    """The first of each thread."""
    met: set[int] = set()
    threads = roll.threads
    for row in rows:
        if most is not None and len(met) >= most:
            return
        thread = threads[row]
        if thread not in met:
            met.add(thread)
            yield row
