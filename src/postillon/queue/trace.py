"""The trace: what happened to every message and why, kept for a bounded time (DESIGN section 2).

One row is written by the accepting transaction with the inputs of its decisions; each later event is
a row beside it. Who asks for a message by its id, an address or its Message-ID gets the whole story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from postillon.mail.address import Address
from postillon.queue.ids import QueueId
from postillon.store.like import escaped
from postillon.store.operation import Row, Steps, Tx

MAX_PATHS = 4_000  # characters of forward-paths kept in one row
MAX_MESSAGE_ID = 1_000  # characters
MAX_FOUND = 500  # rows of one search
EXPIRE_BATCH = 500  # rows of one operation

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class TraceEvent:
    """Something that happened after acceptance. `at` in ms."""

    at: int
    kind: str
    facts: dict[str, object]


@dataclass(frozen=True, slots=True)
class Trace:
    """A message's story. `reverse_path` "" is the null sender; events in order."""

    queue_id: QueueId
    at: int
    reverse_path: str
    forward_paths: tuple[str, ...]
    message_id: str
    facts: dict[str, object]
    events: tuple[TraceEvent, ...] = ()


class IdTaken(Exception):
    """The queue id has been given to another message: draw a new one."""


def record(
    queue_id: QueueId,
    at: int,
    reverse_path: Address | None,
    forward_paths: Sequence[Address],
    message_id: bytes,
    facts: Mapping[str, object],
) -> Steps[None]:
    """Write the row of the accepting transaction. Raises IdTaken."""
    paths = " ".join(map(str, forward_paths))
    if len(paths) > MAX_PATHS:
        paths = paths[:MAX_PATHS].rpartition(" ")[0] + " …"
    rows = yield (
        "INSERT INTO trace (queue_id, at, reverse_path, forward_paths, message_id, facts)"
        " VALUES (?,?,?,?,?,?) ON CONFLICT DO NOTHING RETURNING queue_id",
        (
            queue_id,
            at,
            "" if reverse_path is None else str(reverse_path),
            paths,
            message_id[:MAX_MESSAGE_ID].decode("utf-8", "replace"),
            _encode(facts).decode(),
        ),
    )
    if not rows:
        raise IdTaken


def event(queue_id: QueueId, at: int, kind: str, facts: Mapping[str, object]) -> Steps[None]:
    yield (
        "INSERT INTO trace_event (queue_id, n, at, kind, facts)"
        " SELECT ?, COALESCE(MAX(n) + 1, 0), ?, ?, ? FROM trace_event WHERE queue_id = ?",
        (queue_id, at, kind, _encode(facts).decode(), queue_id),
    )


def find(queue_id: QueueId) -> Steps[Trace | None]:
    """One message with its events."""
    rows = yield (_SELECT + "queue_id = ?", (queue_id,))
    if not rows:
        return None
    events = yield (
        "SELECT at, kind, facts FROM trace_event WHERE queue_id = ? ORDER BY n",
        (queue_id,),
    )
    return _trace(rows[0], events)


def search(text: str, limit: int = 50) -> Steps[list[Trace]]:
    """Messages whose addresses or Message-ID hold the text, newest first, without their events."""
    pattern = f"%{escaped(text)}%"
    rows = yield (
        _SELECT + "forward_paths LIKE ? ESCAPE '\\' OR reverse_path LIKE ? ESCAPE '\\'"
        " OR message_id LIKE ? ESCAPE '\\' ORDER BY queue_id DESC LIMIT ?",
        (pattern, pattern, pattern, min(limit, MAX_FOUND)),
    )
    return [_trace(row, ()) for row in rows]


def forget(tx: Tx, before: int) -> Steps[int]:
    """Remove some traces of messages accepted before a time (ms) that wait no more."""
    rows = yield (
        "DELETE FROM trace WHERE queue_id IN (SELECT queue_id FROM trace WHERE at < ?"
        " AND queue_id NOT IN (SELECT queue_id FROM queue_message) ORDER BY queue_id LIMIT ?)"
        " RETURNING queue_id",
        (before, EXPIRE_BATCH),
    )
    for (queue_id,) in rows:
        yield "DELETE FROM trace_event WHERE queue_id = ?", (queue_id,)
    return len(rows)


_SELECT = "SELECT queue_id, at, reverse_path, forward_paths, message_id, facts FROM trace WHERE "


def _trace(row: Row, events: Sequence[Row]) -> Trace:
    queue_id, at, reverse_path, paths, message_id, facts = row
    return Trace(
        QueueId(queue_id),
        at,
        reverse_path,
        tuple(paths.split(" ")) if paths else (),
        message_id,
        msgspec.json.decode(facts),
        tuple(TraceEvent(at, kind, msgspec.json.decode(text)) for at, kind, text in events),
    )
