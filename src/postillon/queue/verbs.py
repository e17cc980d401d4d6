"""What an administrator does to waiting mail, beside the running server: seven verbs on a selection.

Large selections are done in batches, each one transaction that looks again whether its recipients are
still meant; a crash between two batches leaves the first ones done and the others as they were, and
the same order again does the rest. A recipient that is being tried at this moment is never touched:
its outcome decides. Only `hold` and `release` of whole messages reach those too, when they come back.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum

from postillon.mail.address import parse_address
from postillon.mail.outcome import Status
from postillon.queue import trace
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, Held, State, read_status, status_text
from postillon.queue.selection import (
    HELD_HERE,
    NOT_HELD,
    SCHEDULED_HERE,
    Key,
    Selection,
    among,
    keys,
)
from postillon.queue.spool import TOPIC, remove, remove_finished
from postillon.store.operation import Row, Steps, Store, Tx, WriteOperation

BATCH = 500  # recipients one transaction begins with; it ends with the whole of the last message
MAX_TEXT = 500  # characters of an administrator's words in a report
RETURNED = "returned by the administrator"
EXPIRED = Status("4.4.7", "given up by the administrator before a first try")
_COLUMNS = "r.queue_id, r.n, r.forward_path, r.destination, r.state, r.status, m.held"


class Verb(Enum):
    """What can be done to waiting mail."""

    HOLD = "hold"
    RELEASE = "release"
    RETRY = "retry"
    REROUTE = "reroute"
    EXPIRE = "expire"
    BOUNCE = "bounce"
    DROP = "drop"

    @property
    def ends(self) -> bool:
        """Whether mail leaves the queue by it, and its senders are told (`drop`: are not)."""
        return self in (Verb.EXPIRE, Verb.BOUNCE, Verb.DROP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A verb, whom it is for, and who gave it (kept in the trace)."""

    verb: Verb
    selection: Selection
    who: str
    text: str = ""  # bounce: told to the sender
    via: Callable[[str], str] | None = None  # reroute: from a recipient's domain to its destination

    @property
    def acts(self) -> str:
        """Which recipients of the selection it is done to, as SQL over m and r."""
        free = NOT_HELD
        whole = not self.selection.of_recipients
        match self.verb:
            case Verb.HOLD:
                return f"({free} OR (r.state = 'claimed' AND m.held = 0))" if whole else free
            case Verb.RELEASE:
                return (
                    f"({HELD_HERE} OR (r.state = 'claimed' AND m.held <> 0))"
                    if whole
                    else HELD_HERE
                )
            case Verb.RETRY:  # who stands in a line is tried when its destination answers
                # What its sender lets wait goes early only for who names the message.
                others = f"{free} AND r.waits_for IS NULL AND NOT ({SCHEDULED_HERE})"
                return free if self.selection.ids else others
            case Verb.REROUTE:
                return "r.state = 'waiting' AND r.via = 'remote'"
            case Verb.DROP if whole:
                return "r.state <> 'claimed'"
        return "r.state = 'waiting'"


@dataclass(frozen=True, slots=True)
class Done:
    """What a batch did. `following`: recipients in hand whose message was held, or is no more."""

    last: Key
    recipients: int
    messages: int
    following: int = 0


async def next_batch(store: Store, order: Order, after: Key) -> Done | None:
    """Do the next batch beyond a key, durably; None when nothing is left to do."""
    found = await store.query(keys(order.selection, after, BATCH, order.acts))
    if not found:
        return None
    messages = list(dict.fromkeys(queue_id for queue_id, _ in found))
    return await store.write(carry_out(order, messages))


def carry_out(order: Order, messages: Sequence[QueueId]) -> WriteOperation[Done]:
    """The verb for those recipients of some messages that are meant. messages: ascending."""
    act = _ACTS[order.verb]

    def operation(tx: Tx) -> Steps[Done]:
        rows = yield from among(order.selection, messages, _COLUMNS, order.acts)
        touched: dict[QueueId, list[Row]] = {}
        for row in rows:
            touched.setdefault(QueueId(row[0]), []).append(row)
        number = following = 0
        for queue_id, some in touched.items():
            waiting = [row for row in some if row[4] != State.CLAIMED.value]
            number += yield from act(tx, order, queue_id, waiting)
            following += len(some) - len(waiting)
        if touched:
            tx.announce(TOPIC)
        return Done(Key((messages[-1], FAR)), number, len(touched), following)

    return operation


# One message each: rows are those of its recipients that are meant and in nobody's hand -------------


def _hold(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    if not order.selection.of_recipients:
        yield (
            "UPDATE queue_message SET held = ? WHERE queue_id = ? AND held = ?",
            (int(Held.BY_ADMINISTRATOR), queue_id, int(Held.FREE)),
        )
    yield from _set_due(queue_id, rows, FAR)
    yield from _told(tx, order, queue_id, "held", rows)
    return len(rows)


def _release(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    """The others of a held message that are not meant stay held, each for itself."""
    yield (
        "UPDATE queue_message SET held = ?, crashes = 0 WHERE queue_id = ? AND held <> ?",
        (int(Held.FREE), queue_id, int(Held.FREE)),
    )
    due_at = yield from _soonest(tx, queue_id)
    yield from _set_due(queue_id, rows, due_at)
    yield from _told(tx, order, queue_id, "released", rows)
    return len(rows)


def _retry(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    yield from _set_due(queue_id, rows, tx.now)
    yield from _told(tx, order, queue_id, "retried", rows)
    return len(rows)


def _reroute(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    """A new destination, tried at once; who is held stays so."""
    assert order.via is not None
    moved: list[Row] = []
    due_at = yield from _soonest(tx, queue_id)
    for row in rows:
        _, n, forward_path, destination, *_ = row
        target = order.via(parse_address(forward_path).domain)
        if target == destination:
            continue
        yield (
            "UPDATE queue_recipient SET destination = ?, waits_for = NULL,"
            " due_at = CASE WHEN due_at >= ? THEN due_at ELSE ? END WHERE queue_id = ? AND n = ?",
            (target, FAR, due_at, queue_id, n),
        )
        facts = {"to": forward_path, "from": destination, "via": target, "by": order.who}
        yield from trace.event(queue_id, tx.now, "rerouted", facts)
        moved.append(row)
    return len(moved)


def _expire(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    """As when its lifetime had ended: the last words of the other server stand in the report."""
    for row in rows:
        status = read_status(row[5]) or EXPIRED
        yield from _settled(tx, order, queue_id, row, State.EXPIRED, status, "expired")
    return len(rows)


def _bounce(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    text = " ".join(order.text.split())[:MAX_TEXT]
    status = Status("5.0.0", f"{RETURNED}: {text}" if text else RETURNED)
    for row in rows:
        yield from _settled(tx, order, queue_id, row, State.FAILED, status, "bounced")
    return len(rows)


def _drop(tx: Tx, order: Order, queue_id: QueueId, rows: Sequence[Row]) -> Steps[int]:
    """No report to anybody; the trace says who did it."""
    facts: dict[str, object] = {"by": order.who, "to": [row[2] for row in rows]}
    yield from trace.event(queue_id, tx.now, "dropped", facts)
    for row in rows:
        for table in ("queue_attempt", "queue_recipient"):
            yield f"DELETE FROM {table} WHERE queue_id = ? AND n = ?", (queue_id, row[1])  # noqa: S608
    left = yield "SELECT 1 FROM queue_recipient WHERE queue_id = ? LIMIT 1", (queue_id,)
    if left:
        yield from remove_finished(queue_id)
    else:
        yield from remove(queue_id)
    return len(rows)


_ACTS: dict[Verb, Callable[[Tx, Order, QueueId, Sequence[Row]], Steps[int]]] = {
    Verb.HOLD: _hold,
    Verb.RELEASE: _release,
    Verb.RETRY: _retry,
    Verb.REROUTE: _reroute,
    Verb.EXPIRE: _expire,
    Verb.BOUNCE: _bounce,
    Verb.DROP: _drop,
}


def _soonest(tx: Tx, queue_id: QueueId) -> Steps[int]:
    """Now, or when its sender lets it go (ms)."""
    rows = yield "SELECT release_at FROM queue_message WHERE queue_id = ?", (queue_id,)
    return max(tx.now, rows[0][0]) if rows else tx.now


def _set_due(queue_id: QueueId, rows: Sequence[Row], due_at: int) -> Steps[None]:
    for row in rows:
        yield (
            "UPDATE queue_recipient SET due_at = ?, waits_for = NULL WHERE queue_id = ? AND n = ?",
            (due_at, queue_id, row[1]),
        )


def _settled(
    tx: Tx, order: Order, queue_id: QueueId, row: Row, state: State, status: Status, kind: str
) -> Steps[None]:
    """Its report is owed from now on: a worker writes it (transition 5b)."""
    yield (
        "UPDATE queue_recipient SET state = ?, status = ?, final_at = ?, due_at = ?,"
        " waits_for = NULL WHERE queue_id = ? AND n = ?",
        (state.value, status_text(status), tx.now, tx.now, queue_id, row[1]),
    )
    facts = {"to": row[2], "status": f"{status.code} {status.text}", "by": order.who}
    yield from trace.event(queue_id, tx.now, kind, facts)


def _told(tx: Tx, order: Order, queue_id: QueueId, kind: str, rows: Sequence[Row]) -> Steps[None]:
    facts: dict[str, object] = {"recipients": len(rows), "by": order.who}
    yield from trace.event(queue_id, tx.now, kind, facts)
