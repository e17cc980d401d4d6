"""What an administrator can see of the queue and do to it, beside the running server.

Every verb is one transaction and says what it did; workers are woken by the topic. A recipient that is
being tried at this moment is left alone: its outcome decides.
"""

from __future__ import annotations

from dataclasses import dataclass

from postillon.mail.outcome import Status
from postillon.queue import trace
from postillon.queue.ids import QueueId
from postillon.queue.rows import (
    FAR,
    Held,
    QueueMessage,
    QueueRecipient,
    State,
    message_of,
    recipient_of,
    status_text,
)
from postillon.queue.rows import MESSAGE_COLUMNS as _MESSAGE
from postillon.queue.rows import RECIPIENT_COLUMNS as _RECIPIENT
from postillon.queue.spool import TOPIC, history, load, remove
from postillon.store.operation import Steps, Tx, WriteOperation

MAX_LISTED = 10_000  # messages one list gives at most
RETURNED = "returned by the administrator"


class QueueError(Exception):
    """A verb that cannot be done; the text says why, for a human."""


class NotQueued(QueueError):
    def __init__(self, queue_id: QueueId) -> None:
        super().__init__("there is no such message in the queue")
        self.queue_id = queue_id


@dataclass(frozen=True, slots=True)
class Listed:
    """A message and all its recipients that have rows."""

    message: QueueMessage
    recipients: tuple[QueueRecipient, ...]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A past try of a recipient. `at` in ms; `status` as JSON (rows.read_status)."""

    n: int
    at: int
    outcome: str
    status: str


_LIST = (
    f"SELECT {_MESSAGE} FROM queue_message WHERE queue_id > ?"  # noqa: S608 - constant columns
    " AND (? = '' OR EXISTS (SELECT 1 FROM queue_recipient r WHERE"
    " r.queue_id = queue_message.queue_id AND (r.forward_path = ? OR r.destination = ?"
    " OR r.forward_path LIKE ? ESCAPE '\\')) OR reverse_path = ?) ORDER BY queue_id LIMIT ?"
)
_RECIPIENTS = f"SELECT {_RECIPIENT} FROM queue_recipient WHERE queue_id = ? ORDER BY n"  # noqa: S608


def listing(match: str = "", after: int = 0, limit: int = 100) -> Steps[list[Listed]]:
    """Messages in the queue, oldest first.

    match: an address, a destination or a domain of recipients, or a reverse-path; "" is all.
    after: only ids beyond this one, to page on.
    """
    escaped = match.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    rows = yield (
        _LIST,
        (after, match, match, match, f"%@{escaped}", match, min(limit, MAX_LISTED)),
    )
    found = []
    for row in rows:
        recipients = yield _RECIPIENTS, (row[0],)
        found.append(Listed(message_of(row), tuple(map(recipient_of, recipients))))
    return found


def counts() -> Steps[dict[str, int]]:
    """How many recipients are in each state, and messages held and isolated."""
    rows = yield "SELECT state, COUNT(*) FROM queue_recipient GROUP BY state", ()
    found: dict[str, int] = dict(rows)
    rows = yield (
        "SELECT COUNT(*), COALESCE(SUM(held = 1), 0), COALESCE(SUM(held = 2), 0)"
        " FROM queue_message",
        (),
    )
    found["messages"], found["held"], found["isolated"] = rows[0]
    return found


def show(queue_id: QueueId) -> Steps[tuple[Listed, list[Attempt]] | None]:
    """A message with the history of its recipients."""
    found = yield from load(queue_id)
    if found is None:
        return None
    message, recipients = found
    attempts = []
    for item in recipients:
        tries = yield from history(queue_id, item.n)
        attempts += [Attempt(item.n, at, outcome, status) for at, outcome, status in tries]
    return Listed(message, tuple(recipients)), attempts


def retry(queue_id: QueueId) -> WriteOperation[int]:
    """Try a message's waiting recipients now. Returns how many. Raises QueueError."""

    def operation(tx: Tx) -> Steps[int]:
        held = yield from _held(queue_id)
        if held is not Held.FREE:
            raise QueueError("the message is held: release it")
        return (yield from _set_due(tx, queue_id, tx.now, "retried"))

    return operation


def hold(queue_id: QueueId) -> WriteOperation[int]:
    """Keep a message from being tried until it is released. Returns how many recipients wait."""

    def operation(tx: Tx) -> Steps[int]:
        yield from _held(queue_id)
        yield (
            "UPDATE queue_message SET held = ? WHERE queue_id = ?",
            (int(Held.BY_ADMINISTRATOR), queue_id),
        )
        return (yield from _set_due(tx, queue_id, FAR, "held"))

    return operation


def release(queue_id: QueueId) -> WriteOperation[int]:
    """Let a held or isolated message go on, at once. Returns how many recipients."""

    def operation(tx: Tx) -> Steps[int]:
        held = yield from _held(queue_id)
        if held is Held.FREE:
            raise QueueError("the message is not held")
        yield (
            "UPDATE queue_message SET held = ?, crashes = 0 WHERE queue_id = ?",
            (int(Held.FREE), queue_id),
        )
        return (yield from _set_due(tx, queue_id, tx.now, "released"))

    return operation


def bounce(queue_id: QueueId, text: str = "") -> WriteOperation[int]:
    """Return a message to its sender, with a text of the administrator's. Returns how many recipients.

    Raises QueueError when no recipient waits.
    """
    status = Status("5.0.0", f"{RETURNED}: {text}" if text else RETURNED)

    def operation(tx: Tx) -> Steps[int]:
        yield from _held(queue_id)
        rows = yield (
            "UPDATE queue_recipient SET state = ?, status = ?, final_at = ?, due_at = ?"
            " WHERE queue_id = ? AND state = 'waiting' RETURNING forward_path",
            (State.FAILED.value, status_text(status), tx.now, tx.now, queue_id),
        )
        if not rows:
            raise QueueError("no recipient of this message waits; those in hand end by themselves")
        for (path,) in rows:
            facts = {"to": path, "status": f"{status.code} {status.text}"}
            yield from trace.event(queue_id, tx.now, "bounced", facts)
        tx.announce(TOPIC)
        return len(rows)

    return operation


def drop(queue_id: QueueId, who: str) -> WriteOperation[int]:
    """Remove a message with no report to anybody; the trace says who did. Returns how many recipients.

    Raises QueueError while a recipient is being tried.
    """

    def operation(tx: Tx) -> Steps[int]:
        yield from _held(queue_id)
        rows = yield (
            "SELECT forward_path, state FROM queue_recipient WHERE queue_id = ?",
            (queue_id,),
        )
        if any(state == State.CLAIMED.value for _, state in rows):
            raise QueueError("a recipient is being tried at this moment: hold the message first")
        yield from trace.event(
            queue_id, tx.now, "dropped", {"by": who, "to": [path for path, _ in rows]}
        )
        yield from remove(queue_id)
        return len(rows)

    return operation


def _held(queue_id: QueueId) -> Steps[Held]:
    rows = yield "SELECT held FROM queue_message WHERE queue_id = ?", (queue_id,)
    if not rows:
        raise NotQueued(queue_id)
    return Held(rows[0][0])


def _set_due(tx: Tx, queue_id: QueueId, due_at: int, kind: str) -> Steps[int]:
    rows = yield (
        "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ? AND state = 'waiting'"
        " RETURNING n",
        (due_at, queue_id),
    )
    yield from trace.event(queue_id, tx.now, kind, {"recipients": len(rows)})
    tx.announce(TOPIC)
    return len(rows)
