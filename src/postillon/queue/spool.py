"""Accept, claim, settle: the transitions of docs/queue.md as operations on rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.outcome import Status
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
from postillon.store.operation import Steps, Tx

TOPIC = "queue"  # announced when something has become due
ROWS_AT_ONCE = 200  # of one INSERT
KEPT_ATTEMPTS = 20  # of a recipient's history, beside its first
SUSPECT_WAIT = 60_000  # ms a suspect waits for another suspect to be finished
FIRST_SUSPICION = 1  # crashes from which a message is tried alone


class LeaseLost(Exception):
    """Somebody else has taken the recipients over; nothing was written."""


class Changed(Exception):
    """Other recipients of the message have moved since they were read; nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    worker: str
    until: int  # ms


@dataclass(frozen=True, slots=True)
class Job:
    """Recipients of one message for one destination, claimed together."""

    message: QueueMessage
    destination: str
    recipients: tuple[QueueRecipient, ...]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of one claimed recipient. `tried` False: it was put back without a try."""

    recipient: QueueRecipient  # as claimed
    state: State
    due_at: int
    status: Status | None
    told: Told
    tried: bool = True

    @property
    def outcome(self) -> str:
        return "deferred" if self.state is State.WAITING else self.state.value


# 1: accept ----------------------------------------------------------------------------------------


def accept(
    message: QueueMessage, recipients: Sequence[QueueRecipient], lease: Lease | None
) -> Steps[None]:
    """Write the rows of what could not be finished, claimed by the accepting worker or waiting.

    Recipients that are settled or wait for a later time are written as they are.
    """
    yield (
        f"INSERT INTO queue_message ({MESSAGE_COLUMNS}) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            message.queue_id, message.ref.pack, message.ref.offset, message.ref.length,
            message.digest, message.prefix,
            None if message.reverse_path is None else str(message.reverse_path),
            message.submitter, int(message.lane), message.body.value, int(message.smtputf8),
            None if message.ret_full is None else int(message.ret_full), message.envid,
            message.hops, message.accepted_at, message.expires_at, int(message.held),
            message.crashes, message.about,
        ),
    )  # fmt: skip
    for start in range(0, len(recipients), ROWS_AT_ONCE):
        values: list[object] = []
        some = recipients[start : start + ROWS_AT_ONCE]
        for row in some:
            claimed = lease if row.state is State.CLAIMED else None
            wishes = row.recipient.notify
            values += (
                message.queue_id, row.n, str(row.recipient.forward_path), row.recipient.original,
                None if wishes is None else wishes.value, "local" if row.local else "remote",
                row.destination, row.state.value, row.due_at, row.attempts, row.last_at,
                None if claimed is None else claimed.worker,
                None if claimed is None else claimed.until,
                status_text(row.status), int(row.told), row.final_at,
            )  # fmt: skip
        marks = ",".join(["(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)"] * len(some))
        yield (
            "INSERT INTO queue_recipient (queue_id, n, forward_path, original, notify, via,"
            " destination, state, due_at, attempts, last_at, claimed_by, lease_until, status, told,"
            f" final_at) VALUES {marks}",
            values,
        )


# 2: claim -----------------------------------------------------------------------------------------


def next_due() -> Steps[int | None]:
    """When the next waiting recipient is due; None when none ever will be by itself."""
    rows = yield (
        "SELECT due_at FROM queue_recipient WHERE state = 'waiting' ORDER BY due_at LIMIT 1",
        (),
    )
    return None if not rows or rows[0][0] >= FAR else int(rows[0][0])


def claim(tx: Tx, lease: Lease, limit: int, suspects: bool) -> Steps[list[Job]]:
    """Claim what is due, oldest first: at most `limit` rows looked at.

    Recipients of one message and destination come as one job. suspects: whether a message that was
    in hand at a crash may be among them; at most one is, others are put off.
    """
    due = yield (
        "SELECT DISTINCT queue_id, destination FROM (SELECT queue_id, destination"
        " FROM queue_recipient WHERE state = 'waiting' AND due_at <= ?"
        " ORDER BY due_at, queue_id, n LIMIT ?) AS due",
        (tx.now, limit),
    )
    messages: dict[int, QueueMessage] = {}
    jobs: list[Job] = []
    for queue_id, destination in due:
        message = messages.get(queue_id)
        if message is None:
            message = yield from find(QueueId(queue_id))
            if message is None:  # cannot be: rows come and go together
                continue
            messages[queue_id] = message
            if message.crashes >= FIRST_SUSPICION:
                if not suspects:
                    del messages[queue_id]
                    yield (
                        "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ?"
                        " AND state = 'waiting' AND due_at <= ?",
                        (tx.now + SUSPECT_WAIT, queue_id, tx.now),
                    )
                    continue
                suspects = False
        rows = yield (
            "UPDATE queue_recipient SET state = 'claimed', claimed_by = ?, lease_until = ?"
            " WHERE queue_id = ? AND destination = ? AND state = 'waiting' AND due_at <= ?"
            f" RETURNING {RECIPIENT_COLUMNS}",
            (lease.worker, lease.until, queue_id, destination, tx.now),
        )
        if rows:
            recipients = sorted(map(recipient_of, rows), key=lambda row: row.n)
            jobs.append(Job(message, destination, tuple(recipients)))
    return jobs


def renew(lease: Lease) -> Steps[None]:
    """Keep all that the worker has in hand until `lease.until`."""
    yield (
        "UPDATE queue_recipient SET lease_until = ? WHERE state = 'claimed' AND claimed_by = ?",
        (lease.until, lease.worker),
    )


# 7, 8: take over ----------------------------------------------------------------------------------


def take_over(tx: Tx, worker: str | None, crashes: int) -> Steps[tuple[int, list[QueueId]]]:
    """Free what dead workers had in hand and count the crash once for each message.

    worker: a slot that starts again, so nobody else can be it now; None: leases that have ended.
    Returns how many recipients wait again, and the messages isolated because of `crashes` deaths.
    """
    condition = "claimed_by = ?" if worker is not None else "lease_until < ?"
    value: str | int = worker if worker is not None else tx.now
    rows = yield (
        "UPDATE queue_recipient SET state = 'waiting', due_at = ?, claimed_by = NULL,"  # noqa: S608
        f" lease_until = NULL WHERE state = 'claimed' AND {condition} RETURNING queue_id",
        (tx.now, value),
    )
    isolated: list[QueueId] = []
    for queue_id in dict.fromkeys(row[0] for row in rows):
        counted = yield (
            "UPDATE queue_message SET crashes = crashes + 1 WHERE queue_id = ? RETURNING crashes",
            (queue_id,),
        )
        if counted and counted[0][0] >= crashes:
            yield from hold(QueueId(queue_id), Held.ISOLATED)
            isolated.append(QueueId(queue_id))
    if rows:
        tx.announce(TOPIC)
    return len(rows), isolated


def give_back(tx: Tx, worker: str) -> Steps[int]:
    """9: a clean stop. What is still in hand waits, due now, and no crash is counted."""
    rows = yield (
        "UPDATE queue_recipient SET state = 'waiting', due_at = ?, claimed_by = NULL,"
        " lease_until = NULL WHERE state = 'claimed' AND claimed_by = ? RETURNING n",
        (tx.now, worker),
    )
    if rows:
        tx.announce(TOPIC)
    return len(rows)


# 4, 5, 6, 10: settle ------------------------------------------------------------------------------


def settle(
    tx: Tx, queue_id: QueueId, worker: str, settlements: Sequence[Settlement]
) -> Steps[None]:
    """Write what became of claimed recipients. Raises LeaseLost."""
    for settlement in settlements:
        row, settled = settlement.recipient, settlement.state.settled
        attempts = row.attempts + settlement.tried
        rows = yield (
            "UPDATE queue_recipient SET state = ?, due_at = ?, attempts = ?, last_at = ?,"
            " claimed_by = NULL, lease_until = NULL, status = ?, told = ?, final_at = ?"
            " WHERE queue_id = ? AND n = ? AND state = 'claimed' AND claimed_by = ? RETURNING n",
            (
                settlement.state.value, settlement.due_at, attempts,
                tx.now if settlement.tried else row.last_at, status_text(settlement.status),
                int(settlement.told), tx.now if settled else None, queue_id, row.n, worker,
            ),
        )  # fmt: skip
        if not rows:
            raise LeaseLost(queue_id)
        if settlement.tried:
            yield from _remember(tx, queue_id, row.n, attempts, settlement)


def _remember(
    tx: Tx, queue_id: QueueId, n: int, attempt: int, settlement: Settlement
) -> Steps[None]:
    host = settlement.status.host if settlement.status is not None else ""
    yield (
        "INSERT INTO queue_attempt (queue_id, n, attempt, at, host, outcome, status)"
        " VALUES (?,?,?,?,?,?,?) ON CONFLICT (queue_id, n, attempt) DO NOTHING",
        (queue_id, n, attempt, tx.now, host, settlement.outcome, status_text(settlement.status)),
    )
    if attempt > KEPT_ATTEMPTS + 1:
        yield (
            "DELETE FROM queue_attempt WHERE queue_id = ? AND n = ? AND attempt > 1"
            " AND attempt <= ?",
            (queue_id, n, attempt - KEPT_ATTEMPTS),
        )


def finish_relayed(queue_id: QueueId, worker: str, recipients: int) -> Steps[None]:
    """5 and 6 in one for the commonest end: all recipients of the message were in this job and
    arrived at the first try, and nobody is to be told. Raises LeaseLost.
    """
    rows = yield (
        "DELETE FROM queue_recipient WHERE queue_id = ? AND state = 'claimed' AND claimed_by = ?"
        " RETURNING n",
        (queue_id, worker),
    )
    if len(rows) != recipients:
        raise LeaseLost(queue_id)
    yield ("DELETE FROM queue_message WHERE queue_id = ?", (queue_id,))


def tell(queue_id: QueueId, told: Sequence[tuple[int, Told]]) -> Steps[None]:
    """Note what the sender has been told about recipients, by number."""
    for n, bits in told:
        yield (
            "UPDATE queue_recipient SET told = ? WHERE queue_id = ? AND n = ?",
            (int(bits), queue_id, n),
        )


def sweep(queue_id: QueueId) -> Steps[bool]:
    """6: remove the message once all its recipients are settled. Returns whether it is gone."""
    rows = yield (
        "SELECT 1 FROM queue_recipient WHERE queue_id = ? AND state IN ('waiting', 'claimed')"
        " LIMIT 1",
        (queue_id,),
    )
    if rows:
        return False
    yield from remove(queue_id)
    return True


def remove(queue_id: QueueId) -> Steps[None]:
    """All rows of a message but its trace. The blob dies with them."""
    yield ("DELETE FROM queue_attempt WHERE queue_id = ?", (queue_id,))
    yield ("DELETE FROM queue_recipient WHERE queue_id = ?", (queue_id,))
    yield ("DELETE FROM queue_message WHERE queue_id = ?", (queue_id,))


def hasten(tx: Tx, destination: str, limit: int) -> Steps[int]:
    """A destination answers again: make the next recipients that wait for it due now."""
    rows = yield (
        "UPDATE queue_recipient SET due_at = ? WHERE (queue_id, n) IN (SELECT queue_id, n"
        " FROM queue_recipient WHERE destination = ? AND state = 'waiting' AND due_at > ?"
        f" AND due_at < {FAR} AND attempts = 0 ORDER BY due_at LIMIT ?) RETURNING n",
        (tx.now, destination, tx.now, limit),
    )
    if rows:
        tx.announce(TOPIC)
    return len(rows)


# 11 -----------------------------------------------------------------------------------------------


def hold(queue_id: QueueId, why: Held) -> Steps[bool]:
    """Keep the message until `release`. What is in hand now is finished, then kept."""
    rows = yield (
        "UPDATE queue_message SET held = ? WHERE queue_id = ? RETURNING queue_id",
        (int(why), queue_id),
    )
    yield (
        "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ? AND state = 'waiting'",
        (FAR, queue_id),
    )
    return bool(rows)


def release(tx: Tx, queue_id: QueueId) -> Steps[bool]:
    """Free a held or isolated message, due now."""
    rows = yield (
        "UPDATE queue_message SET held = 0, crashes = 0 WHERE queue_id = ? RETURNING queue_id",
        (queue_id,),
    )
    yield from due_now(tx, queue_id)
    return bool(rows)


def due_now(tx: Tx, queue_id: QueueId) -> Steps[int]:
    rows = yield (
        "UPDATE queue_recipient SET due_at = ? WHERE queue_id = ? AND state = 'waiting' RETURNING n",
        (tx.now, queue_id),
    )
    tx.announce(TOPIC)
    return len(rows)


# Questions ----------------------------------------------------------------------------------------


def find(queue_id: QueueId) -> Steps[QueueMessage | None]:
    rows = yield (f"SELECT {MESSAGE_COLUMNS} FROM queue_message WHERE queue_id = ?", (queue_id,))
    return message_of(rows[0]) if rows else None


def recipients(queue_id: QueueId) -> Steps[list[QueueRecipient]]:
    """All of a message, settled ones included, in order."""
    rows = yield (
        f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipient WHERE queue_id = ? ORDER BY n",
        (queue_id,),
    )
    return [recipient_of(row) for row in rows]


def first_attempt(queue_id: QueueId, n: int) -> Steps[tuple[int, str] | None]:
    """When a recipient was tried first, and its Status as stored."""
    rows = yield (
        "SELECT at, status FROM queue_attempt WHERE queue_id = ? AND n = ? AND attempt = 1",
        (queue_id, n),
    )
    return (int(rows[0][0]), str(rows[0][1])) if rows else None


def lanes() -> Steps[dict[Lane, int]]:
    """How many messages of each lane are queued: a count over all, not for hot paths."""
    rows = yield ("SELECT lane, count(*) FROM queue_message GROUP BY lane", ())
    return {Lane(lane): int(number) for lane, number in rows}
