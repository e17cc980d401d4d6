"""What happened to a message and why: one row at acceptance, one for each later event.

The decision inputs stand in the facts as JSON, so that a decision can be explained after the queue
rows are long gone. Kept for a bounded time; never content, never credentials.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from postillon.mail.address import Address
from postillon.mail.outcome import Status
from postillon.queue.ids import QueueId, format_queue_id
from postillon.store.operation import Row, Steps

MAX_PATHS = 2_000  # characters of forward-paths kept for searching
MAX_MESSAGE_ID = 998  # characters, a line of a header
MAX_EVENTS = 500  # of one message; what comes later is not kept
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode  # Any: facts are what each event knows


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened after acceptance. `at` in ms."""

    at: int
    kind: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trace:
    queue_id: QueueId
    at: int
    reverse_path: str  # "" is the null sender
    forward_paths: str
    message_id: str
    facts: Mapping[str, Any]
    events: tuple[Event, ...] = ()

    @property
    def name(self) -> str:
        return format_queue_id(self.queue_id)


def write(
    queue_id: QueueId,
    at: int,
    reverse_path: Address | None,
    forward_paths: str,
    message_id: str,
    facts: Mapping[str, object],
) -> Steps[None]:
    """The row of an accepted message. A second one with the same id fails the transaction."""
    yield (
        "INSERT INTO trace (queue_id, at, reverse_path, forward_paths, message_id, facts)"
        " VALUES (?,?,?,?,?,?)",
        (
            queue_id,
            at,
            "" if reverse_path is None else str(reverse_path),
            forward_paths[:MAX_PATHS],
            message_id[:MAX_MESSAGE_ID],
            _encode(facts).decode(),
        ),
    )


def event(queue_id: QueueId, at: int, kind: str, facts: Mapping[str, object]) -> Steps[None]:
    yield (
        "INSERT INTO trace_event (queue_id, n, at, kind, facts)"
        " SELECT ?, n, ?, ?, ? FROM (SELECT coalesce(max(n), -1) + 1 AS n FROM trace_event"
        " WHERE queue_id = ?) AS next WHERE n < ?",
        (queue_id, at, kind, _encode(facts).decode(), queue_id, MAX_EVENTS),
    )


def status_facts(status: Status | None) -> dict[str, object]:
    if status is None:
        return {}
    facts: dict[str, object] = {"status": status.code, "text": status.text}
    if status.host:
        facts["host"] = status.host
    if status.remote is not None:
        facts["remote"] = str(status.remote)
    return facts


def find(queue_id: QueueId) -> Steps[Trace | None]:
    """The trace of a message with its events in order."""
    rows = yield (f"SELECT {_COLUMNS} FROM trace WHERE queue_id = ?", (queue_id,))
    if not rows:
        return None
    events = yield (
        "SELECT at, kind, facts FROM trace_event WHERE queue_id = ? ORDER BY n",
        (queue_id,),
    )
    return _trace(rows[0], events)


def search(text: str, limit: int) -> Steps[list[Trace]]:
    """Traces whose paths or message id hold `text`, newest first. A scan: read apart."""
    pattern = "%" + text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") + "%"
    rows = yield (
        f"SELECT {_COLUMNS} FROM trace WHERE reverse_path LIKE ? ESCAPE '\\' OR forward_paths"
        " LIKE ? ESCAPE '\\' OR message_id LIKE ? ESCAPE '\\' ORDER BY queue_id DESC LIMIT ?",
        (pattern, pattern, pattern, limit),
    )
    return [_trace(row, ()) for row in rows]


def expire(before: QueueId, limit: int) -> Steps[int]:
    """Forget traces older than an id, but not of messages still queued. Returns how many."""
    rows = yield (
        "DELETE FROM trace WHERE queue_id IN (SELECT queue_id FROM trace WHERE queue_id < ?"
        " AND queue_id NOT IN (SELECT queue_id FROM queue_message) LIMIT ?) RETURNING queue_id",
        (before, limit),
    )
    for (queue_id,) in rows:
        yield ("DELETE FROM trace_event WHERE queue_id = ?", (queue_id,))
    return len(rows)


_COLUMNS = "queue_id, at, reverse_path, forward_paths, message_id, facts"


def _trace(row: Row, events: Sequence[Row]) -> Trace:
    queue_id, at, reverse_path, forward_paths, message_id, facts = row
    return Trace(
        QueueId(queue_id),
        at,
        reverse_path,
        forward_paths,
        message_id,
        _decode(facts),
        tuple(Event(moment, kind, _decode(text)) for moment, kind, text in events),
    )
