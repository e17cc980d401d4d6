"""The line of a destination: recipients that wait for it, not for a time of their own.

They join when the destination is down, held, or has enough in hand, and are served when it has places
again; nobody reads them in between. `due_at` of one in a line is the next mark of its age (a notice,
the end of its lifetime): only then does a worker look at it. Lines are served interactive mail first,
then bulk, then reports, each from the oldest message on; `turns` sees to it that nobody starves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.queue import destinations
from postillon.queue.destinations import Destination
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, MESSAGE_COLUMNS, Held, Lane, message_of
from postillon.queue.schedule import Schedule
from postillon.queue.spool import InHand, grouped
from postillon.store.operation import Row, Steps, Tx

LATER = 60_000  # ms; a look at what cannot stand in a line, or is past all its marks
BULK_TURN = 8  # each so many claims begin with bulk mail
REPORT_TURN = 16  # and with reports


@dataclass(frozen=True, slots=True)
class Joining:
    """Recipients of a message that join a line. lifetime: the longest theirs may be (ms).

    held: the destination is, so that nothing expires.
    """

    queue_id: QueueId
    numbers: tuple[int, ...]
    lifetime: int
    held: bool = False


def turns(turn: int) -> tuple[Lane, ...]:
    """The order of the lanes in the claim with this number: interactive first but for some."""
    if turn % REPORT_TURN == REPORT_TURN - 1:
        return Lane.REPORT, Lane.BULK, Lane.INTERACTIVE
    if turn % BULK_TURN == BULK_TURN - 1:
        return Lane.BULK, Lane.INTERACTIVE, Lane.REPORT
    return Lane.INTERACTIVE, Lane.BULK, Lane.REPORT


def join(
    tx: Tx, worker: str, key: str, hosts: Sequence[str], joining: Joining, schedule: Schedule
) -> Steps[None]:
    """Let recipients that this worker has claimed wait in a line; nothing was tried."""
    rows = yield (
        f"SELECT {MESSAGE_COLUMNS} FROM queue_message WHERE queue_id = ?",  # noqa: S608 - constant
        (joining.queue_id,),
    )
    if not rows:
        return
    message = message_of(rows[0])
    starts_at, held, crashes = message.starts_at, message.held, message.crashes
    waits_for: str | None = key
    expires_at = min(message.expires_at, starts_at + joining.lifetime)
    marks = schedule.noticing(starts_at, message.notice_at)
    due_at = marks.next_mark(starts_at, expires_at, tx.now) or (
        FAR if joining.held else tx.now + LATER
    )
    if held != Held.FREE:
        waits_for, due_at = None, FAR
    elif crashes:  # a suspect is tried alone and never from a line
        waits_for, due_at = None, tx.now + LATER
    for n in joining.numbers:
        yield (
            "UPDATE queue_recipient SET state = 'waiting', claimed_by = NULL, lease_until = NULL,"
            " waits_for = ?, due_at = ? WHERE queue_id = ? AND n = ? AND state = 'claimed'"
            " AND claimed_by = ?",
            (waits_for, due_at, joining.queue_id, n, worker),
        )
    if waits_for is not None:
        yield from destinations.lined_up(tx, key, hosts)


def join_rest(
    tx: Tx, destination: str, key: str, lifetime: int, schedule: Schedule, limit: int
) -> Steps[int]:
    """Let what else is due for a destination (a domain or next hop) join its line, unclaimed.

    What is past a mark of its age, has marks of its own, or is suspect stays: somebody must look at
    it. So a long backlog for one destination passes through nobody's hands. Returns how many have
    joined, at most `limit`.
    """
    rows = yield (
        "SELECT r.queue_id, r.n, m.accepted_at, m.expires_at FROM queue_recipient r"
        " JOIN queue_message m ON m.queue_id = r.queue_id WHERE r.state = 'waiting'"
        " AND r.destination = ? AND r.due_at <= ? AND r.waits_for IS NULL AND m.crashes = 0"
        " AND m.held = 0 AND m.accepted_at > ? AND m.release_at = 0 AND m.deliver_by IS NULL"
        " LIMIT ?",
        (destination, tx.now, tx.now - schedule.marks[0], limit),
    )
    joined = 0
    for queue_id, n, accepted_at, expires_at in rows:
        due_at = schedule.next_mark(accepted_at, min(expires_at, accepted_at + lifetime), tx.now)
        if due_at is None:
            continue
        yield (
            "UPDATE queue_recipient SET waits_for = ?, due_at = ? WHERE queue_id = ? AND n = ?"
            " AND state = 'waiting'",
            (key, due_at, queue_id, n),
        )
        joined += 1
    return joined


def more(destination: str, now: int) -> Steps[bool]:
    """Whether something is due for a destination (a domain or next hop) that stands in no line."""
    rows = yield (
        "SELECT 1 FROM queue_recipient WHERE state = 'waiting' AND destination = ?"
        " AND due_at <= ? AND waits_for IS NULL LIMIT 1",
        (destination, now),
    )
    return bool(rows)


def leave(tx: Tx, destination: str, key: str, limit: int) -> Steps[int]:
    """Let the mail of a domain leave a line, because its hosts are others now: due at once.

    Returns how many recipients have left, at most `limit`.
    """
    rows = yield (
        "UPDATE queue_recipient SET waits_for = NULL, due_at = ? WHERE state = 'waiting'"
        " AND (queue_id, n) IN (SELECT queue_id, n FROM queue_recipient WHERE state = 'waiting'"
        " AND destination = ? AND waits_for = ? LIMIT ?) RETURNING n",
        (tx.now, destination, key, limit),
    )
    if rows:
        tx.announce(destinations.TOPIC)
    return len(rows)


def claim(
    tx: Tx, worker: str, lease: int, known: Destination, limit: int, lanes: Sequence[Lane]
) -> Steps[list[InHand]]:
    """Take at most `limit` messages off the line of an open destination, oldest first in each lane.

    known: its row. When nobody stands there any more, the row is told so. lease: ms from now.
    """
    found: list[Row] = []
    taken = 0
    for lane in lanes:
        if taken >= limit:
            break
        ids = yield (
            "SELECT DISTINCT r.queue_id FROM queue_recipient r"
            " JOIN queue_message m ON m.queue_id = r.queue_id WHERE r.state = 'waiting'"
            " AND r.waits_for = ? AND r.lane = ? AND m.crashes = 0 AND m.held = 0"
            " ORDER BY r.queue_id LIMIT ?",
            (known.key, int(lane), limit - taken),
        )
        taken += len(ids)
        for (queue_id,) in ids:
            found += yield from _take(tx, worker, lease, known.key, queue_id)
    if taken < limit:
        if not (yield from _anybody(known.key)):
            yield from destinations.line_ended(tx, known)
        elif not found:  # only what is held or suspect: no worker can serve it
            yield from destinations.look_later(tx, known, LATER)
    return grouped(found)


def take_probe(
    tx: Tx, worker: str, lease: int, key: str, after: tuple[int, int]
) -> Steps[InHand | None]:
    """Take the one probe of a destination that is down, and choose the message it is for.

    The message is not claimed yet: while nobody answers, nothing of it changes. after: (lane, message)
    of the probe before, so that each is for another message and none can keep the destination down.
    None: there is no probe to make now. Without a line the destination is forgotten.
    """
    if not (yield from destinations.take_probe(tx, key, worker, lease)):
        return None
    for start in (after, (-1, 0)):
        rows = yield (
            "SELECT r.queue_id, r.destination, r.lane FROM queue_recipient r JOIN queue_message m"
            " ON m.queue_id = r.queue_id WHERE r.state = 'waiting' AND r.waits_for = ?"
            " AND (r.lane, r.queue_id) > (?, ?) AND m.crashes = 0 AND m.held = 0"
            " ORDER BY r.lane, r.queue_id LIMIT 1",
            (key, *start),
        )
        if rows:
            queue_id, destination, lane = rows[0]
            return InHand(QueueId(queue_id), destination, Lane(lane), ())
    if (yield from _anybody(key)):
        yield from destinations.probe_later(tx, key, worker, LATER)
    else:
        yield from destinations.forget(key)
    return None


def claim_probed(
    tx: Tx, worker: str, lease: int, key: str, queue_id: QueueId
) -> Steps[list[InHand]]:
    """Claim the message of a probe, for a host has answered.

    Empty if the probe is no longer this worker's, or if the message has left the line: then the next
    probe is due at once.
    """
    if not (yield from destinations.probes(key, worker)):
        return []
    rows = yield from _take(tx, worker, lease, key, queue_id)
    if not rows:
        yield from destinations.probe_later(tx, key, worker, 0)
    return grouped(rows)


def _take(tx: Tx, worker: str, lease: int, key: str, queue_id: int) -> Steps[list[Row]]:
    """All recipients of one message that stand in one line: they share a transaction."""
    rows = yield (
        "UPDATE queue_recipient SET state = 'claimed', claimed_by = ?, lease_until = ?"
        " WHERE state = 'waiting' AND waits_for = ? AND queue_id = ?"
        " RETURNING queue_id, destination, lane, n",
        (worker, tx.now + lease, key, queue_id),
    )
    return rows


def _anybody(key: str) -> Steps[bool]:
    """Whether anybody stands in a line, held and suspect messages too."""
    rows = yield (
        "SELECT 1 FROM queue_recipient WHERE state = 'waiting' AND waits_for = ? LIMIT 1",
        (key,),
    )
    return bool(rows)
