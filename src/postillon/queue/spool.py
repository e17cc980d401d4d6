"""The queue's rows and their transitions: one function for each row of the table in docs/queue.md.

All are operations of the store: durable as a whole or not at all. Who settles checks in the same
transaction that the recipient is still claimed by itself; a lease that was lost writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from postillon.account.emails import Placed
from postillon.mail.outcome import Deferred, Delivered, Outcome
from postillon.queue import trace
from postillon.queue.ids import QueueId
from postillon.queue.rows import (
    FAR,
    MESSAGE_COLUMNS,
    RECIPIENT_COLUMNS,
    Held,
    Lane,
    QueueMessage,
    QueueRecipient,
    State,
    Told,
    message_of,
    recipient_of,
    status_text,
)
from postillon.store.operation import BlobRef, Row, Steps, Tx

MAX_ATTEMPTS_KEPT = 30  # rows of history a recipient has at most
TOPIC = "queue"

# Columns are constants of this package; whatever comes from outside is bound (FAULTS 7).
_INSERT_MESSAGE = f"INSERT INTO queue_message ({MESSAGE_COLUMNS}) VALUES (?{',?' * 21})"  # noqa: S608
_SELECT_MESSAGE = f"SELECT {MESSAGE_COLUMNS} FROM queue_message WHERE queue_id = ?"  # noqa: S608
_SELECT_RECIPIENTS = (
    f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipient WHERE queue_id = ? ORDER BY n"  # noqa: S608
)
_FREE = (  # followed by one of the two conditions
    "UPDATE queue_recipient SET state = 'waiting', claimed_by = NULL, lease_until = NULL,"
    " waits_for = NULL, due_at = ? WHERE state = 'claimed' AND "
)
_CLAIMED = "SELECT queue_id, claimed_by FROM queue_recipient WHERE state = 'claimed' AND "
# From the few suspects to their recipients: with `+ 0` the long index of what is due is not used.
_SUSPECT = (
    "FROM queue_recipient WHERE state = 'waiting' AND due_at + 0 <= ? AND queue_id IN"
    " (SELECT queue_id FROM queue_message WHERE crashes > 0) LIMIT 1"
)
_MINE = "substr(claimed_by, 1, ?) = ?"
_LATE = "(lease_until < ? OR lease_until > ?)"


Loaded = tuple[QueueMessage, Sequence[QueueRecipient]]


@dataclass(frozen=True, slots=True)
class InHand:
    """What a worker has claimed: a message and those of its recipients that wait for one place."""

    queue_id: QueueId
    destination: str
    lane: Lane
    numbers: tuple[int, ...]


class Result(msgspec.Struct, frozen=True):
    """How a try of one recipient ended, and when to try again (ms) if it is deferred."""

    n: int
    outcome: Outcome
    due_at: int = 0
    expired: bool = False
    waits_for: str | None = None  # it joins the line of this destination; `due_at` is a mark of age
    told: Told = Told.NOTHING  # END when nobody wants to hear of a settled one
    placed: Placed | None = None
    rules: Sequence[Mapping[str, object]] = ()  # what they have made of it, for the trace


# 1: accepted -------------------------------------------------------------------------------------


def enqueue(message: QueueMessage, recipients: Sequence[QueueRecipient], lease: int) -> Steps[None]:
    """Write the rows of a message that cannot be finished at once."""
    yield (
        _INSERT_MESSAGE,
        (
            message.queue_id,
            message.ref.pack,
            message.ref.offset,
            message.ref.length,
            message.digest,
            message.prefix,
            None if message.reverse_path is None else str(message.reverse_path),
            message.submitter,
            int(message.lane),
            message.body.value,
            int(message.smtputf8),
            None if message.ret_full is None else int(message.ret_full),
            message.envid,
            message.hops,
            message.accepted_at,
            message.expires_at,
            int(message.held),
            message.crashes,
            message.about,
            message.release_at,
            message.deliver_by,
            message.by_mode,
        ),
    )
    for item in recipients:
        notify = item.recipient.notify
        yield (
            "INSERT INTO queue_recipient (queue_id, n, forward_path, original, notify, via,"
            " destination, lane, state, due_at, claimed_by, lease_until, status, told, final_at,"
            " waits_for) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                message.queue_id,
                item.n,
                str(item.recipient.forward_path),
                item.recipient.original,
                None if notify is None else notify.value,
                "local" if item.local else "remote",
                item.destination,
                int(message.lane),
                item.state.value,
                item.due_at,
                item.claimed_by,
                lease if item.state is State.CLAIMED else None,
                status_text(item.status),
                int(item.told),
                item.final_at,
                item.waits_for,
            ),
        )


# 2: claimed --------------------------------------------------------------------------------------


def claim_due(
    tx: Tx, worker: str, lease: int, lanes: Sequence[tuple[Lane, int]]
) -> Steps[list[InHand]]:
    """Take what is due, lane by lane in the order given, until so many recipients are in hand.

    What no worker has died with; see `claim_suspect`. lease: ms from now. lanes: each with the number
    of recipients, of all lanes together, up to which it may be claimed from.
    """
    found: list[Row] = []
    for lane, limit in lanes:
        if len(found) >= limit:
            continue
        rows = yield (
            "UPDATE queue_recipient SET state = 'claimed', claimed_by = ?, lease_until = ?"
            " WHERE state = 'waiting' AND (queue_id, n) IN (SELECT r.queue_id, r.n"
            " FROM queue_recipient r JOIN queue_message m ON m.queue_id = r.queue_id"
            " WHERE r.state = 'waiting' AND r.lane = ? AND r.due_at <= ? AND m.crashes = 0"
            " ORDER BY r.due_at LIMIT ?) RETURNING queue_id, destination, lane, n",
            (worker, tx.now + lease, int(lane), tx.now, limit - len(found)),
        )
        found += rows
    return grouped(found)


def claim_suspect(tx: Tx, worker: str, lease: int) -> Steps[list[InHand]]:
    """Take one message that a worker died with: it is tried alone."""
    rows = yield f"SELECT queue_id, destination {_SUSPECT}", (tx.now,)
    if not rows:
        return []
    rows = yield (
        "UPDATE queue_recipient SET state = 'claimed', claimed_by = ?, lease_until = ?"
        " WHERE state = 'waiting' AND due_at <= ? AND queue_id = ? AND destination = ?"
        " RETURNING queue_id, destination, lane, n",
        (worker, tx.now + lease, tx.now, *rows[0]),
    )
    return grouped(rows)


def suspect_waits(now: int) -> Steps[bool]:
    rows = yield f"SELECT 1 {_SUSPECT}", (now,)
    return bool(rows)


def next_due(lanes: Sequence[Lane] = tuple(Lane)) -> Steps[int | None]:
    """When the next recipient of some lanes may be claimed (ms), held ones aside."""
    found: list[int] = []
    for lane in lanes:
        rows = yield (
            "SELECT MIN(due_at) FROM queue_recipient WHERE state = 'waiting' AND lane = ?"
            " AND due_at < ?",
            (int(lane), FAR),
        )
        found += [due for (due,) in rows if due is not None]
    return min(found, default=None)


def claimed(worker: str) -> Steps[list[tuple[QueueId, int]]]:
    """The recipients in the name of a worker: (message, number)."""
    rows = yield (
        "SELECT queue_id, n FROM queue_recipient WHERE state = 'claimed' AND claimed_by = ?",
        (worker,),
    )
    return [(QueueId(queue_id), n) for queue_id, n in rows]


def renew(tx: Tx, worker: str, lease: int) -> Steps[None]:
    """Keep what this worker has in hand."""
    yield (
        "UPDATE queue_recipient SET lease_until = ? WHERE state = 'claimed' AND claimed_by = ?",
        (tx.now + lease, worker),
    )


# 3 to 6: tried -----------------------------------------------------------------------------------


def load(queue_id: QueueId) -> Steps[Loaded | None]:
    rows = yield (_SELECT_MESSAGE, (queue_id,))
    if not rows:
        return None
    recipients = yield (
        _SELECT_RECIPIENTS,
        (queue_id,),
    )
    return message_of(rows[0]), [recipient_of(row) for row in recipients]


def ref_of(queue_id: QueueId) -> Steps[BlobRef | None]:
    """Where the content lies now: compaction moves it."""
    rows = yield (
        "SELECT pack, start, length FROM queue_message WHERE queue_id = ?",
        (queue_id,),
    )
    return BlobRef(*rows[0]) if rows else None


def holds(queue_id: QueueId, n: int, worker: str) -> Steps[bool]:
    """Whether a recipient is still this worker's."""
    rows = yield (
        "SELECT 1 FROM queue_recipient WHERE queue_id = ? AND n = ? AND state = 'claimed'"
        " AND claimed_by = ?",
        (queue_id, n, worker),
    )
    return bool(rows)


def settle(tx: Tx, queue_id: QueueId, worker: str, results: Sequence[Result]) -> Steps[None]:
    """Write down how a try ended: transitions 4, 5 and, with the last recipient, 6."""
    if len(results) == 1 and (yield from _settle_only(tx, queue_id, worker, results[0])):
        return
    rows = yield "SELECT held FROM queue_message WHERE queue_id = ?", (queue_id,)
    if not rows:
        return
    held = rows[0][0] != Held.FREE
    tried: list[tuple[int, Result]] = []
    for result in results:
        attempt = yield from _settle_one(tx, queue_id, worker, result, held)
        if attempt:
            tried.append((attempt, result))
    if (yield from remove_finished(queue_id)):
        return  # its history would go with it
    for attempt, result in tried:
        yield from _attempt(tx, queue_id, attempt, result)
    yield from tell_later(queue_id, tx.now)  # what was owed may now be said


def _settle_only(tx: Tx, queue_id: QueueId, worker: str, result: Result) -> Steps[bool]:
    """Settle the only recipient of a message, of whom nobody wants to hear: all its rows go at once.

    By far the most frequent end. False: it is not this case, or the lease was lost; nothing is written.
    """
    if not result.told & Told.END or not _state_of(result).settled:
        return False
    rows = yield (
        "DELETE FROM queue_recipient WHERE queue_id = ? AND n = ? AND state = 'claimed'"
        " AND claimed_by = ? AND NOT EXISTS (SELECT 1 FROM queue_recipient other"
        " WHERE other.queue_id = ? AND other.n <> ?) RETURNING attempts, forward_path",
        (queue_id, result.n, worker, queue_id, result.n),
    )
    if not rows:
        return False
    attempts, forward_path = rows[0]
    yield "DELETE FROM queue_message WHERE queue_id = ?", (queue_id,)
    if attempts:
        yield "DELETE FROM queue_attempt WHERE queue_id = ?", (queue_id,)
    yield from _trace(tx, queue_id, forward_path, result)
    return True


def _settle_one(tx: Tx, queue_id: QueueId, worker: str, result: Result, held: bool) -> Steps[int]:
    """The number of the try, from 1; 0 if the lease was lost: the new owner decides."""
    state = _state_of(result)
    status = result.outcome.status
    rows = yield (
        "UPDATE queue_recipient SET state = ?, due_at = ?, attempts = attempts + 1, last_at = ?,"
        " deferrals = deferrals + ?, waits_for = ?,"
        " claimed_by = NULL, lease_until = NULL, status = ?, told = told | ?, final_at = ?"
        " WHERE queue_id = ? AND n = ? AND state = 'claimed' AND claimed_by = ?"
        " RETURNING attempts, forward_path",
        (
            state.value,
            tx.now if state.settled else FAR if held else result.due_at,
            tx.now,
            int(isinstance(result.outcome, Deferred) and not result.outcome.destination),
            None if held else result.waits_for,
            status_text(status),
            int(result.told),
            tx.now if state.settled else None,
            queue_id,
            result.n,
            worker,
        ),
    )
    if not rows:
        return 0
    attempt: int
    attempt, forward_path = rows[0]
    yield from _trace(tx, queue_id, forward_path, result)
    return attempt


def _trace(tx: Tx, queue_id: QueueId, forward_path: str, result: Result) -> Steps[None]:
    """Say in the trace how a try of a recipient ended."""
    state, status = _state_of(result), result.outcome.status
    facts: dict[str, object] = {"to": forward_path, "status": f"{status.code} {status.text}"}
    if status.host:
        facts["host"] = status.host
    if status.remote is not None:
        facts["reply"] = str(status.remote)
    if state is State.WAITING:
        facts["next_try" if result.waits_for is None else "at_the_latest"] = result.due_at
    if result.waits_for is not None:
        facts["waits_for"] = result.waits_for
    if result.placed is not None:
        facts["mailbox"], facts["uid"] = result.placed.mailbox, result.placed.uid
    if result.rules:
        facts["rules"] = result.rules
    kind = "deferred" if state is State.WAITING else state.value
    yield from trace.event(queue_id, tx.now, kind, facts)


def _attempt(tx: Tx, queue_id: QueueId, attempt: int, result: Result) -> Steps[None]:
    """Keep a try in the recipient's history."""
    n, status = result.n, result.outcome.status
    yield (
        "INSERT INTO queue_attempt (queue_id, n, attempt, at, host, outcome, status)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT DO NOTHING",
        (queue_id, n, attempt, tx.now, status.host, _state_of(result).value, status_text(status)),
    )
    if attempt > MAX_ATTEMPTS_KEPT:  # the first stays, and the latest
        yield (
            "DELETE FROM queue_attempt WHERE queue_id = ? AND n = ? AND attempt > 1"
            " AND attempt <= ?",
            (queue_id, n, attempt - MAX_ATTEMPTS_KEPT + 1),
        )


def _state_of(result: Result) -> State:
    outcome = result.outcome
    if isinstance(outcome, Delivered):
        return State.RELAYED if outcome.relayed else State.DELIVERED
    if isinstance(outcome, Deferred):
        return State.EXPIRED if result.expired else State.WAITING
    return State.FAILED


def remove_finished(queue_id: QueueId) -> Steps[bool]:
    """Remove the rows of a message whose recipients are all settled and reported."""
    rows = yield (
        "SELECT 1 FROM queue_recipient WHERE queue_id = ?"
        " AND (state IN ('waiting', 'claimed') OR told & ? = 0) LIMIT 1",
        (queue_id, int(Told.END)),
    )
    if rows:
        return False
    yield from remove(queue_id)
    return True


def remove(queue_id: QueueId) -> Steps[None]:
    yield "DELETE FROM queue_attempt WHERE queue_id = ?", (queue_id,)
    yield "DELETE FROM queue_recipient WHERE queue_id = ?", (queue_id,)
    yield "DELETE FROM queue_message WHERE queue_id = ?", (queue_id,)


# 7 to 10: given back ------------------------------------------------------------------------------


def take_over(tx: Tx, worker: str, crashes: int, *, mine: bool, lease: int = 0) -> Steps[int]:
    """Free what a dead worker had in hand; its message becomes a suspect, then isolated.

    worker: "slot@instance". Who died within this instance of the server may have died of the message;
    when the whole server went down, no message is to blame. mine: all that carries the name of this
    slot, from a former life, whatever the lease says. Otherwise what has outlived its lease, or has
    one of more than twice `lease` ms: the clock was set back, and nobody alive would have left it.
    Returns how many recipients were freed.
    """
    slot, _, instance = worker.partition("@")
    own = f"{slot}@"
    arguments: tuple[int | str, ...] = (len(own), own) if mine else (tx.now, tx.now + 2 * lease)
    condition = _MINE if mine else _LATE
    claimed = yield (
        _CLAIMED + condition,
        arguments,
    )
    if not claimed:
        return 0
    yield _FREE + condition, (tx.now, *arguments)
    blamed: dict[int, bool] = {}
    for queue_id, owner in claimed:
        blamed[queue_id] = blamed.get(queue_id, False) or owner.endswith(f"@{instance}")
    for queue_id, blame in blamed.items():
        found = yield (
            "UPDATE queue_message SET crashes = crashes + ?,"
            " held = CASE WHEN crashes + ? >= ? THEN ? ELSE held END"
            " WHERE queue_id = ? RETURNING crashes, held",
            (int(blame), int(blame), crashes, int(Held.ISOLATED), queue_id),
        )
        number, held = found[0] if found else (0, 0)
        if held:
            yield (
                "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ? AND state = 'waiting'",
                (FAR, queue_id),
            )
        kind = "isolated" if held == Held.ISOLATED else "taken over"
        yield from trace.event(QueueId(queue_id), tx.now, kind, {"crashes": number})
    tx.announce(TOPIC)
    return len(claimed)


def give_back(
    tx: Tx, worker: str, queue_id: QueueId, numbers: Sequence[int], due_at: int
) -> Steps[None]:
    """Let go of recipients that were not tried: a clean stop, or a destination that is busy or down."""
    for n in numbers:
        yield (
            "UPDATE queue_recipient SET state = 'waiting', claimed_by = NULL, lease_until = NULL,"
            " waits_for = NULL, due_at = CASE WHEN EXISTS (SELECT 1 FROM queue_message m WHERE"
            " m.queue_id = queue_recipient.queue_id AND m.held <> 0) THEN ? ELSE ? END"
            " WHERE queue_id = ? AND n = ? AND state = 'claimed' AND claimed_by = ?",
            (FAR, due_at, queue_id, n, worker),
        )


def give_all_back(tx: Tx, worker: str) -> Steps[None]:
    """At a clean stop: nothing stays in hand, and no crash is counted."""
    rows = yield (
        "UPDATE queue_recipient SET state = 'waiting', claimed_by = NULL, lease_until = NULL,"
        " waits_for = NULL, due_at = ? WHERE state = 'claimed' AND claimed_by = ?"
        " RETURNING queue_id",
        (tx.now, worker),
    )
    if rows:
        tx.announce(TOPIC)


def untold(now: int, limit: int) -> Steps[list[QueueId]]:
    """Messages with settled recipients whose sender is to be told now, longest due first."""
    rows = yield (
        "SELECT queue_id FROM queue_recipient WHERE state NOT IN ('waiting', 'claimed')"
        " AND told < 4 AND due_at <= ? ORDER BY due_at LIMIT ?",
        (now, limit),
    )
    return list(dict.fromkeys(QueueId(queue_id) for (queue_id,) in rows))


def tell_later(queue_id: QueueId, due_at: int) -> Steps[None]:
    """Look at the reports owed of a message again at `due_at` (ms)."""
    yield (
        "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ?"
        " AND state NOT IN ('waiting', 'claimed') AND told < 4",
        (due_at, queue_id),
    )


def history(queue_id: QueueId, n: int) -> Steps[list[tuple[int, str, str]]]:
    """Tries of a recipient, oldest first: (ms, outcome, Status as JSON)."""
    rows = yield (
        "SELECT at, outcome, status FROM queue_attempt WHERE queue_id = ? AND n = ?"
        " ORDER BY attempt",
        (queue_id, n),
    )
    return [(at, outcome, status) for at, outcome, status in rows]


def grouped(rows: Sequence[tuple[int, str, int, int]]) -> list[InHand]:
    """Claimed rows (message, destination, lane, number) by what travels together."""
    groups: dict[tuple[int, str, int], list[int]] = {}
    for queue_id, destination, lane, n in rows:
        groups.setdefault((queue_id, destination, lane), []).append(n)
    return [
        InHand(QueueId(queue_id), destination, Lane(lane), tuple(sorted(numbers)))
        for (queue_id, destination, lane), numbers in groups.items()
    ]
