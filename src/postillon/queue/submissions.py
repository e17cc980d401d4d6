"""What accounts have sent (RFC 8621 section 7): the message in the queue, and the way back from it.

A submission is written by the transaction that accepts its message, so neither is there without the
other. What became of it is read from the queue's rows and the trace; a look writes down what is new,
so that the state of the account tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from postillon.account import owned
from postillon.account.errors import AccountError
from postillon.account.ids import AccountId, EmailId
from postillon.account.owned import Happened
from postillon.mail.dates import format_moment
from postillon.mail.outcome import Delivered, Outcome, Status
from postillon.queue import trace
from postillon.queue.ids import QueueId
from postillon.queue.rows import FAR, QueueMessage, QueueRecipient, State
from postillon.queue.spool import load, remove
from postillon.store.operation import Row, Steps, Tx

if TYPE_CHECKING:
    from postillon.queue.acceptance import Accepted, Plan

PENDING, FINAL, CANCELED = "pending", "final", "canceled"
QUEUED, YES, NO, UNKNOWN = "queued", "yes", "no", "unknown"
LOOKED_AT = 200  # submissions whose fate one look asks for
MAX_LISTED = 20_000  # submissions of one account that are read at once
MAX_REPORTS = 200  # of each kind at one submission; more may come, but nobody is told of them
_ENDS = {
    "delivered": YES, "relayed": UNKNOWN, "failed": NO, "expired": NO, "bounced": NO, "dropped": NO,
}  # fmt: skip
_COLUMNS = (
    "submission, identity, email, thread, queue_id, envelope, send_at, undo, delivery, dsns, mdns"
)


class Leg(msgspec.Struct, frozen=True):
    """What is known of one recipient. targets: where it leads, where that is another address."""

    address: str
    delivered: str  # queued, yes, no, unknown
    reply: str  # as of SMTP
    targets: tuple[str, ...] = ()
    displayed: bool = False  # a read receipt says so


class Sent(msgspec.Struct, frozen=True):
    """send_at: ms. envelope: as JMAP shows it. dsns, mdns: reports, emails of the same account."""

    id: int
    identity: int
    email: int
    thread: int
    queue_id: QueueId
    envelope: dict[str, Any]  # Any: JSON
    send_at: int
    undo: str
    delivery: tuple[Leg, ...]
    dsns: tuple[int, ...] = ()
    mdns: tuple[int, ...] = ()

    @property
    def unsettled(self) -> bool:
        return self.undo == PENDING or any(leg.delivered == QUEUED for leg in self.delivery)


class Told(msgspec.Struct, frozen=True):
    """What a report says of a recipient, who is named in lower case. delivered: YES, NO or ""."""

    addresses: frozenset[str]
    delivered: str = ""
    reply: str = ""
    displayed: bool = False


class CannotUnsend(AccountError):
    """It is on its way, or has arrived."""


_encode = msgspec.json.Encoder().encode
legs_of = msgspec.json.Decoder(tuple[Leg, ...]).decode
_emails = msgspec.json.Decoder(tuple[int, ...]).decode


def write(tx: Tx, account: AccountId, made: Plan, accepted: Accepted, sent: Sent) -> Steps[int]:
    """Beside the acceptance of its message. Of `sent` the plan gives the rest. Returns the new id."""
    paths = {row.n: str(row.recipient.forward_path) for row in made.rows}
    legs = []
    for index, recipient in enumerate(made.submission.envelope.recipients):
        outcome = accepted.outcomes[index]
        targets = tuple(paths[n] for n in made.sources[index] if n in paths)
        address = str(recipient.forward_path)
        legs.append(Leg(address, *_told(outcome, made), () if targets == (address,) else targets))
    rows = yield (
        "SELECT thread FROM email WHERE account = ? AND email = ?",
        (account, sent.email),
    )
    complete = replace(
        sent,
        id=(yield from owned.new_id(account)),
        thread=rows[0][0] if rows else sent.thread,
        queue_id=accepted.queue_id,
        send_at=made.release_at or made.accepted_at,
        undo=PENDING if made.release_at else FINAL,
        delivery=tuple(legs),
    )
    yield (
        "INSERT INTO submission (account, submission, identity, email, thread, queue_id, envelope,"
        " send_at, undo, delivery, unsettled, message_id) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
        (
            account, complete.id, complete.identity, complete.email, complete.thread,
            complete.queue_id, _encode(complete.envelope).decode(), complete.send_at,
            complete.undo, _encode(complete.delivery).decode(), int(complete.unsettled),
            made.reading.digest.id.decode("utf-8", "replace"),
        ),
    )  # fmt: skip
    yield from owned.happened(tx, account, Happened.SUBMISSION_CREATED, (complete.id,))
    return complete.id


def every(account: AccountId) -> Steps[list[Sent]]:
    """By id, the newest MAX_LISTED."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM submission WHERE account = ?"  # noqa: S608 - constants
        " ORDER BY submission DESC LIMIT ?",
        (account, MAX_LISTED),
    )
    return [_sent(row) for row in reversed(rows)]


def one(account: AccountId, submission: int) -> Steps[Sent | None]:
    rows = yield (
        f"SELECT {_COLUMNS} FROM submission WHERE account = ? AND submission = ?",  # noqa: S608
        (account, submission),
    )
    return _sent(rows[0]) if rows else None


def cancel(tx: Tx, account: AccountId, submission: int) -> Steps[bool]:
    """Take a message that waits for its time out of the queue. False: there is no such submission.

    Raises CannotUnsend where a try has been made, or may be under way.
    """
    sent = yield from one(account, submission)
    if sent is None:
        return False
    if sent.undo == CANCELED:
        return True
    loaded = yield from load(sent.queue_id)
    if sent.undo != PENDING or loaded is None or not _untouched(*loaded):
        raise CannotUnsend("it is on its way")
    yield from remove(sent.queue_id)
    facts: dict[str, object] = {"by": "its sender"}
    yield from trace.event(sent.queue_id, tx.now, "canceled", facts)
    legs = tuple(replace(leg, delivered=NO, reply="250 2.0.0 canceled") for leg in sent.delivery)
    yield from _change(tx, account, [replace(sent, undo=CANCELED, delivery=legs)])
    return True


def delete(tx: Tx, account: AccountId, submission: int) -> Steps[bool]:
    """Forget a submission; its message goes on. False: there is none."""
    rows = yield (
        "DELETE FROM submission WHERE account = ? AND submission = ? RETURNING submission",
        (account, submission),
    )
    if rows:
        yield from owned.happened(tx, account, Happened.SUBMISSION_DELETED, (submission,))
    return bool(rows)


def news(account: AccountId) -> Steps[list[Sent]]:
    """Submissions of which more is known than what is written, as they are now."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM submission WHERE account = ? AND unsettled = 1"  # noqa: S608
        " ORDER BY submission LIMIT ?",
        (account, LOOKED_AT),
    )
    found = []
    for old in map(_sent, rows):
        new = yield from _now(old)
        if new != old:
            found.append(new)
    return found


def note(tx: Tx, account: AccountId) -> Steps[None]:
    """Write down what is new."""
    yield from _change(tx, account, (yield from news(account)))


def _change(tx: Tx, account: AccountId, changed: Sequence[Sent]) -> Steps[None]:
    for item in changed:
        yield (
            "UPDATE submission SET undo = ?, delivery = ?, unsettled = ? WHERE account = ?"
            " AND submission = ?",
            (
                item.undo, _encode(item.delivery).decode(), int(item.unsettled), account, item.id,
            ),
        )  # fmt: skip
        yield from owned.happened(tx, account, Happened.SUBMISSION_CHANGED, (item.id,))


def of_message(account: AccountId, message_id: str, queue_id: QueueId | None) -> Steps[Sent | None]:
    """What was sent under a Message-ID: of several the one with this number, else the newest."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM submission WHERE account = ? AND message_id = ?"  # noqa: S608
        " AND message_id <> '' ORDER BY CASE WHEN queue_id = ? THEN 0 ELSE 1 END, submission DESC"
        " LIMIT 1",
        (account, message_id, 0 if queue_id is None else queue_id),
    )
    return _sent(rows[0]) if rows else None


def add_report(
    tx: Tx,
    account: AccountId,
    sent: Sent,
    email: EmailId,
    *,
    receipt: bool,
    told: Sequence[Told],
) -> Steps[None]:
    """Note a report that has arrived, and what it says.

    What it says of another address counts for the only recipient: aliases and forwarding change it.
    """
    there = sent.mdns if receipt else sent.dsns
    if len(there) >= MAX_REPORTS:
        return
    alone = len(sent.delivery) == 1
    legs = []
    for leg in sent.delivery:
        mine = {one.casefold() for one in (leg.address, *leg.targets)}
        for item in told:
            if alone or mine & item.addresses:
                leg = _as_told(leg, item)
        legs.append(leg)
    column = "mdns" if receipt else "dsns"
    yield (
        f"UPDATE submission SET {column} = ?, delivery = ? WHERE account = ? AND submission = ?",  # noqa: S608
        (_encode((*there, email)).decode(), _encode(legs).decode(), account, sent.id),
    )
    yield from owned.happened(tx, account, Happened.SUBMISSION_CHANGED, (sent.id,))


def _as_told(leg: Leg, item: Told) -> Leg:
    """What this server knows better stays: only what went to another server has an open end."""
    if item.displayed:
        leg = replace(leg, displayed=True)
    if item.delivered and leg.delivered == UNKNOWN:
        leg = replace(leg, delivered=item.delivered, reply=item.reply or leg.reply)
    return leg


def _now(old: Sent) -> Steps[Sent]:
    loaded = yield from load(old.queue_id)
    story = yield from trace.find(old.queue_id)
    ends: dict[str, tuple[str, str]] = {}
    for event in () if story is None else story.events:
        to, end = event.facts.get("to"), _ENDS.get(event.kind)
        if end is not None and isinstance(to, str):
            said = event.facts.get("reply") or _as_reply(str(event.facts.get("status", "")))
            ends[to] = end, str(said)
    rows = {} if loaded is None else {str(r.recipient.forward_path): r for r in loaded[1]}
    legs = []
    for leg in old.delivery:
        if leg.delivered != QUEUED:
            legs.append(leg)
            continue
        told = [
            _of_row(rows[path]) if path in rows and not rows[path].state.settled
            else ends.get(path, (UNKNOWN, leg.reply))
            for path in leg.targets or (leg.address,)
        ]  # fmt: skip
        worst = min(told, key=lambda one: (QUEUED, NO, UNKNOWN, YES).index(one[0]))
        legs.append(replace(leg, delivered=worst[0], reply=worst[1]))
    waits = loaded is not None and _untouched(*loaded)
    undo = FINAL if old.undo == PENDING and not waits else old.undo
    return replace(old, undo=undo, delivery=tuple(legs))


def _untouched(message: QueueMessage, recipients: Sequence[QueueRecipient]) -> bool:
    """Whether a message waits for its time, and nobody has it in hand."""
    return bool(message.release_at) and all(
        item.state is State.WAITING and not item.attempts for item in recipients
    )


def _told(outcome: Outcome | None, made: Plan) -> tuple[str, str]:
    if outcome is None:
        when = f" and waits until {format_moment(made.release_at)}" if made.release_at else ""
        return QUEUED, f"250 2.0.0 Accepted{when}"
    status = outcome.status
    if isinstance(outcome, Delivered):
        return YES, f"250 {status.code} {status.text}"
    return NO, f"550 {status.code} {status.text}"


def _of_row(row: QueueRecipient) -> tuple[str, str]:
    """With the forecast of the queue."""
    at = row.next_try_at
    when = f"; next try {format_moment(at)}" if 0 < at < FAR and row.state is State.WAITING else ""
    status: Status | None = row.status
    if status is None:
        return QUEUED, f"250 2.0.0 Accepted{when}"
    if status.remote is not None:
        return QUEUED, " ".join(str(status.remote).split())
    return QUEUED, f"450 {status.code} {status.text}{when}"


def _as_reply(status: str) -> str:
    code = {"2": "250", "4": "450", "5": "550"}.get(status[:1], "250")
    return f"{code} {status}".strip()


def _sent(row: Row) -> Sent:
    number, identity, email, thread, queue_id, envelope, send_at, undo, delivery, *reports = row
    return Sent(
        number, identity, email, thread, QueueId(queue_id), msgspec.json.decode(envelope), send_at,
        undo, legs_of(delivery), *map(_emails, reports),
    )  # fmt: skip
