"""A store with a long queue, written directly: what a long outage leaves behind.

`fill(folder, messages)` writes the rows a run of `submit` would have left, without content: for
counts, filters and verbs. The messages were accepted over five days before `now`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from postillon.mail.outcome import Status, reply
from postillon.queue.ids import EPOCH, RANDOM_BITS
from postillon.queue.rows import FAR, MESSAGE_COLUMNS, status_text
from postillon.store.database import NAME

DAY = 86_400_000
PREFIX = b"Received: from client.example.org ([192.0.2.1]) by mx.example.org with ESMTPS;\r\n" * 3


def fill(
    folder: Path,
    messages: int,
    *,
    now: int,
    destinations: int = 1_000,
    each: int = 1,
    senders: int = 5_000,
    age: int = 5 * DAY,
) -> None:
    """`each` recipients a message. The first destination has half of all; the store exists."""
    words = status_text(
        Status("4.4.1", "no server could be reached", reply(421, "4.3.2", "going down"), "mx.one")
    )
    connection = sqlite3.connect(folder / NAME)
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -400000")
    with connection:
        connection.executemany(
            f"INSERT INTO queue_message ({MESSAGE_COLUMNS}) VALUES (?{',?' * 21})",
            _messages(messages, now, senders, age),
        )
        connection.executemany(
            "INSERT INTO queue_recipient (queue_id, n, forward_path, original, notify, via,"
            " destination, state, due_at, attempts, last_at, status)"
            " VALUES (?,?,?,'',NULL,'remote',?,'waiting',?,?,?,?)",
            _recipients(messages, now, destinations, each, age, words),
        )
    connection.close()


def name_of(n: int, destinations: int) -> str:
    return "big.example" if n % 2 else f"d{n // 2 % destinations}.example"


def _id(n: int, messages: int, now: int, age: int) -> int:
    at = now - age + n * age // messages
    return (at - EPOCH) << RANDOM_BITS | n & ((1 << RANDOM_BITS) - 1)


def _messages(messages: int, now: int, senders: int, age: int) -> Iterator[tuple[object, ...]]:
    for n in range(messages):
        at = now - age + n * age // messages
        yield (
            _id(n, messages, now, age), 1, n * 100, 100, b"d" * 32, PREFIX,
            f"sender{n * 7919 % senders}@example.org", None, n % 3, "8BITMIME", 0, None, "", 1,
            at, at + 5 * DAY, 0, 0, None, 0, None, "",
        )  # fmt: skip


def _recipients(
    messages: int, now: int, destinations: int, each: int, age: int, words: str
) -> Iterator[tuple[object, ...]]:
    for n in range(messages):
        for k in range(each):
            yield (
                _id(n, messages, now, age), k, f"user{n}.{k}@{name_of(n + k, destinations)}",
                name_of(n + k, destinations), min(now + n % 7_200_000, FAR), 9, now - n % 7_200_000,
                words,
            )  # fmt: skip
