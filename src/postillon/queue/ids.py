"""Queue ids: time-ordered numbers, 13 characters of Crockford's base32 for people.

63 bits: 42 of milliseconds since 2020 (139 years), 21 of randomness. An id that is already taken is
refused by the primary key of the trace, and the submitter draws another. Nothing is gained by guessing
one, so the randomness is not asked of the system each time.
"""

from __future__ import annotations

import random
from typing import NewType

QueueId = NewType("QueueId", int)

EPOCH = 1_577_836_800_000  # 2020-01-01T00:00:00Z in milliseconds
RANDOM_BITS = 21
_LENGTH = 13  # characters of 5 bits each hold 63 bits and two leading zero bits
_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = [first + second for first in _ALPHABET for second in _ALPHABET]
_VALUE = {character: value for value, character in enumerate(_ALPHABET)}
_VALUE |= {"o": 0, "i": 1, "l": 1}  # what people read instead (Crockford)


def new_queue_id(now: int) -> QueueId:
    """An id for a message that arrives at `now` (ms)."""
    bits = random.getrandbits(RANDOM_BITS)
    return QueueId(((now - EPOCH) << RANDOM_BITS) & ((1 << 63) - 1) | bits)


def format_queue_id(queue_id: int) -> str:
    """13 characters, lower case, whose order is the order of time."""
    pairs = [_PAIRS[queue_id >> shift & 1023] for shift in (50, 40, 30, 20, 10, 0)]
    return _ALPHABET[queue_id >> 60 & 31] + "".join(pairs)


def parse_queue_id(text: str) -> QueueId:
    """Read an id as a person wrote it: any case, `o` for 0, `i` and `l` for 1. Raises ValueError."""
    cleaned = text.strip().lower().replace("-", "")
    if len(cleaned) != _LENGTH:
        raise ValueError(f"a queue id has {_LENGTH} characters")
    number = 0
    for character in cleaned:
        if character not in _VALUE:
            raise ValueError(f"{character!r} does not occur in a queue id")
        number = number << 5 | _VALUE[character]
    if number >= 1 << 63:
        raise ValueError("this is not a queue id")
    return QueueId(number)


def accepted_at(queue_id: int) -> int:
    """When the id was drawn, in ms since 1970."""
    return (queue_id >> RANDOM_BITS) + EPOCH


def last_queue_id(at: int) -> QueueId:
    """The greatest id that can be drawn at `at` (ms) or before."""
    return QueueId(((at - EPOCH) << RANDOM_BITS) | ((1 << RANDOM_BITS) - 1))
