"""Sequence sets (RFC 3501 section 9): ranges of sequence numbers or UIDs, with `*` for the largest."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

Ranges = tuple[tuple[int, int], ...]  # both ends included
STAR = 0  # stands for `*` until the mailbox is known
SAVED: Ranges = ((-1, -1),)  # `$`: what the last SEARCH has saved (RFC 5182)
MAX_NUMBER = 0xFFFFFFFF  # nz-number, RFC 3501 section 9

_SET = re.compile(rb"(?:[1-9][0-9]{0,9}|\*)(?:[:,](?:[1-9][0-9]{0,9}|\*))*\Z")


def parse(raw: bytes) -> Ranges | None:
    """The ranges as written, SAVED for `$`, or None when `raw` is no sequence set."""
    if raw == b"$":
        return SAVED
    if not _SET.match(raw):
        return None
    ranges: list[tuple[int, int]] = []
    for item in raw.split(b","):
        first, colon, last = item.partition(b":")
        low = STAR if first == b"*" else int(first)
        if not colon:
            high = low
        elif last == b"*":
            high = STAR
        elif b":" in last:
            return None
        else:
            high = int(last)
        if low > MAX_NUMBER or high > MAX_NUMBER:
            return None
        ranges.append((low, high))
    return tuple(ranges)


def resolve(ranges: Ranges, largest: int) -> list[tuple[int, int]]:
    """Sorted, joined, with `*` replaced: `4:2` is `2:4`, and `9:*` holds `*` even when it is below 9.

    Empty when `*` is asked of a mailbox without messages.
    """
    found: list[tuple[int, int]] = []
    for low, high in ranges:
        low, high = low or largest, high or largest
        if low > high:
            low, high = high, low
        if high:
            found.append((max(low, 1), high))
    if len(found) < 2:
        return found
    found.sort()
    joined = [found[0]]
    for low, high in found[1:]:
        if low <= joined[-1][1] + 1:
            if high > joined[-1][1]:
                joined[-1] = (joined[-1][0], high)
        else:
            joined.append((low, high))
    return joined


def join(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """The ranges of ascending numbers."""
    ranges: list[tuple[int, int]] = []
    low = high = 0
    for number in numbers:
        if number == high + 1 and low:
            high = number
            continue
        if low:
            ranges.append((low, high))
        low = high = number
    if low:
        ranges.append((low, high))
    return ranges


def places(part: tuple[int, int], count: int) -> tuple[int, int]:
    """The places from 1 of a part of `count` results, as RFC 9394 counts: negative from the end.

    The second may be above `count`, or below the first when there are none.
    """
    first, last = part
    return (first, last) if first > 0 else (max(count + 1 + last, 1), count + 1 + first)


def write(ranges: Iterable[tuple[int, int]]) -> bytes:
    """As it stands in a response: `1:4,7`."""
    return b",".join(b"%d" % a if a == b else b"%d:%d" % (a, b) for a, b in ranges)


def contains(ranges: Sequence[tuple[int, int]], number: int) -> bool:
    """Whether sorted ranges hold a number."""
    low, high = 0, len(ranges)
    while low < high:
        middle = (low + high) // 2
        first, last = ranges[middle]
        if number < first:
            high = middle
        elif number > last:
            low = middle + 1
        else:
            return True
    return False
