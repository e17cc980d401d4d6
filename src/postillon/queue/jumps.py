"""A clock that is set while mail waits: what must not be believed then, and what is put right.

All times of the queue are those of the clock, kept in rows. Set forward, a clock makes mail due early,
which does no harm, and leases end while their owners live. Set back, it leaves times in rows that lie
further ahead than any wait of ours; mail would wait for them, for years perhaps. A crash in between
loses nothing: each worker looks when it starts and whenever its own clock was set back.
"""

from __future__ import annotations

from collections.abc import Callable

from postillon.clock import Clock
from postillon.queue import destinations
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, Lane
from postillon.queue.schedule import FURTHEST
from postillon.store.operation import Steps, Tx

NOTICEABLE = 10_000  # ms; a clock that is only steered moves less between two looks
BATCH = 1_000  # recipients put right in one transaction

Placed = tuple[QueueId, int]
# Its sender has chosen that time, and by a clock that was right.
_CHOSEN = (
    "EXISTS (SELECT 1 FROM queue_message m WHERE m.queue_id = queue_recipient.queue_id"
    " AND m.release_at >= queue_recipient.due_at AND m.accepted_at <= ?)"
)


class ClockWatch:
    """Compares the clock with one that nobody sets, such as the event loop's (in seconds)."""

    def __init__(self, clock: Clock, steady: Callable[[], float]) -> None:
        self._clock = clock
        self._steady = steady
        self._last = clock(), steady()

    def moved(self) -> int:
        """How far the clock was set since the last look, ms, negative when back; 0: not noticeably."""
        before, then = self._last
        now, steady = self._last = self._clock(), self._steady()
        moved = now - before - round((steady - then) * 1000)
        return moved if abs(moved) > NOTICEABLE else 0


def misplaced(now: int) -> Steps[list[Placed]]:
    """Recipients that wait for a time of their own, or for a report, beyond FURTHEST; BATCH at most.

    Reads past those in lines, whose `due_at` is a mark of their age: a scan, not for the loop's thread.
    """
    found: list[Placed] = []
    for lane in Lane:
        rows = yield (
            "SELECT queue_id, n FROM queue_recipient WHERE state = 'waiting' AND lane = ?"  # noqa: S608
            f" AND due_at > ? AND due_at < ? AND waits_for IS NULL AND NOT {_CHOSEN} LIMIT ?",
            (int(lane), now + FURTHEST, FAR, now + NOTICEABLE, BATCH),
        )
        found += [(QueueId(queue_id), n) for queue_id, n in rows]
    rows = yield (
        "SELECT queue_id, n FROM queue_recipient WHERE state NOT IN ('waiting', 'claimed')"
        " AND told < 4 AND due_at > ? LIMIT ?",
        (now + FURTHEST, BATCH),
    )
    return [*found, *((QueueId(queue_id), n) for queue_id, n in rows)][:BATCH]


def set_right(tx: Tx, found: list[Placed]) -> Steps[int]:
    """Let them be due now, unless they have moved on, and destinations that wait too long as well.

    Returns how many rows were changed.
    """
    changed = 0
    for queue_id, n in found:
        rows = yield (
            "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ? AND n = ?"  # noqa: S608
            f" AND state <> 'claimed' AND due_at > ? AND due_at < ? AND NOT {_CHOSEN} RETURNING n",
            (tx.now, queue_id, n, tx.now + FURTHEST, FAR, tx.now + NOTICEABLE),
        )
        changed += len(rows)
    changed += yield from destinations.set_right(tx, FURTHEST)
    if changed:
        tx.announce(destinations.TOPIC)
    return changed
