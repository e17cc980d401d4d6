"""The UIDs of a mailbox in the order of their sequence numbers, as runs without a gap.

A mailbox in which little was deleted is a handful of runs however large it is, so a session that
idles on it keeps next to nothing. At worst, every second message gone, each costs 8 octets.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence


class Uids:
    """Ascending. Looking something up costs the logarithm of the number of runs."""

    __slots__ = ("_before", "_count", "_first")

    def __init__(self, uids: Sequence[int] = ()) -> None:
        self._first = array("I")  # the first UID of each run
        self._before = array("I")  # how many UIDs stand before the run
        self._count = 0
        if uids and uids[-1] - uids[0] + 1 == len(uids):  # the common case, at no cost
            self._first.append(uids[0])
            self._before.append(0)
            self._count = len(uids)
        else:
            self.extend(uids)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[int]:
        for first, length in self._runs():
            yield from range(first, first + length)

    def __getitem__(self, index: int) -> int:
        """By place from 0; -1 is the last."""
        if index < 0:
            index += self._count
        if not 0 <= index < self._count:
            raise IndexError(index)
        run = bisect_right(self._before, index) - 1
        return self._first[run] + index - self._before[run]

    @property
    def last(self) -> int:
        """The highest, or 0 when there is none."""
        return self[-1] if self._count else 0

    def below(self, uid: int) -> int:
        """How many are less than `uid`: its place, if it is there."""
        run = bisect_right(self._first, uid) - 1
        if run < 0:
            return 0
        before = self._before[run]
        after = self._before[run + 1] if run + 1 < len(self._before) else self._count
        return min(before + uid - self._first[run], after)

    def part(self, start: int, stop: int) -> list[int]:
        """Those from one place, counted from 0, up to but not including another."""
        found: list[int] = []
        run = max(bisect_right(self._before, start) - 1, 0)
        while start < stop:
            first, before = self._first[run], self._before[run]
            after = self._before[run + 1] if run + 1 < len(self._before) else self._count
            end = min(stop, after)
            found += range(first + start - before, first + end - before)
            start, run = end, run + 1
        return found

    def number(self, uid: int) -> int:
        """Its place from 1, or 0 when it is not there."""
        place = self.below(uid)
        return place + 1 if place < self._count and self[place] == uid else 0

    def extend(self, uids: Iterable[int]) -> None:
        """Add UIDs, ascending and above all others."""
        next_uid, count = self.last + 1 if self._count else -1, self._count
        for uid in uids:
            if uid != next_uid:
                self._first.append(uid)
                self._before.append(count)
            next_uid = uid + 1
            count += 1
        self._count = count

    def without(self, gone: set[int]) -> Uids:
        """Those that are left; only the runs that lose something are looked at one by one."""
        left = Uids()
        holes = sorted(gone)
        at = 0
        for first, length in self._runs():
            stop = first + length
            while at < len(holes) and holes[at] < first:
                at += 1
            while at < len(holes) and holes[at] < stop:
                left._add(first, holes[at])
                first = holes[at] + 1
                at += 1
            left._add(first, stop)
        return left

    def gaps(self, low: int, high: int) -> list[tuple[int, int]]:
        """The ranges of numbers from `low` to `high` that are not there."""
        found: list[tuple[int, int]] = []
        for first, length in self._runs():
            if first > high:
                break
            if low < first:
                found.append((low, first - 1))
            low = max(low, first + length)
        if low <= high:
            found.append((low, high))
        return found

    def _add(self, first: int, stop: int) -> None:
        if first >= stop:
            return
        if not self._count or self.last + 1 != first:
            self._first.append(first)
            self._before.append(self._count)
        self._count += stop - first

    def _runs(self) -> Iterator[tuple[int, int]]:
        """Each with its length."""
        for run, first in enumerate(self._first):
            after = self._before[run + 1] if run + 1 < len(self._before) else self._count
            yield first, after - self._before[run]
