"""A message into the queue: transition 1 of docs/queue.md, for new mail and our own reports alike.

`plan` decides with the directory and reads the message once; `accept` is the operation that makes it
durable: trace row, local placements, and rows for the recipients that must wait or travel.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from msgspec.structs import replace

from postillon.account.emails import Placed
from postillon.account.ids import AccountId
from postillon.account.rules import Decision, Places
from postillon.deliver.local import DELIVERED, LOOP, Copy, deliver_copy, loops, prepare
from postillon.mail.address import Address
from postillon.mail.envelope import Envelope, Notify, Recipient
from postillon.mail.mime import Scan, scan
from postillon.mail.octets import Octets
from postillon.mail.outcome import Deferred, Delivered, Failed, Outcome, Status
from postillon.queue import receipts, trace
from postillon.queue.config import QueueConfig
from postillon.queue.destinations import lined_up
from postillon.queue.ids import QueueId
from postillon.queue.patience import mail_of, patience_of
from postillon.queue.receipts import Report
from postillon.queue.rows import (
    Lane,
    QueueMessage,
    QueueRecipient,
    State,
    Told,
    local_destination,
)
from postillon.queue.spool import TOPIC, enqueue
from postillon.route.recipient import LocalTarget, Lookup, Recipients, RemoteTarget
from postillon.setting import MIB
from postillon.store.operation import BlobRef, Steps, Tx

MAX_HOPS = 50  # Received fields, our own among them (RFC 5321 section 6.3, FAULTS 10)
LARGE = 1 * MIB  # octets from which a message is read in another thread
LOCAL_RETRY = 60_000  # ms until a mailbox that was full is tried for the first time again
TOO_MANY_HOPS = Status("5.4.6", "the message has passed too many servers: a mail loop")
DISTRIBUTED = Status("2.1.5", "accepted and distributed to the members of this address")
QUEUED = Status("2.0.0", "accepted; delivery follows")


class Submission(msgspec.Struct, frozen=True):
    """New mail for the queue. What is kept is `content` as it is; `header` stands before it."""

    envelope: Envelope
    content: Octets
    header: bytes  # whole lines: Received, and what submission completed
    submitter: AccountId | None  # None: a stranger, or ourselves
    facts: Mapping[str, object]  # inputs of the decision to accept, for the trace
    queue_id: QueueId
    lane: Lane = Lane.INTERACTIVE
    about: QueueId | None = None  # for a report of ours: the message it is about
    answered: bool = False  # each recipient gets an answer (LMTP): what it says needs no report
    lifetime: int | None = None  # ms; the submitter's wish, where it is shorter than ours
    release_at: int = 0  # ms; it waits until then
    lookups: Sequence[Lookup] | None = None  # where the recipients lead, if that was just asked
    pure: bool = False  # CR and LF of the content are known to stand only side by side


class SubmissionRefused(Exception):
    """The queue does not take this message; nothing of it remains."""

    def __init__(self, status: Status, permanent: bool) -> None:
        super().__init__(f"{status.code} {status.text}")
        self.status, self.permanent = status, permanent


@dataclass(frozen=True, slots=True)
class Local:
    """A recipient behind a mailbox of ours; `loop` when the message has been there before."""

    n: int
    recipient: Recipient
    target: LocalTarget
    loop: bool = False


@dataclass(frozen=True, slots=True)
class Ruling:
    """What the rules of a local recipient make of a message. withheld: copies that may not be sent."""

    decision: Decision
    forwards: Sequence[Plan] = ()
    withheld: tuple[str, ...] = ()

    def facts(self, places: Places | None) -> list[dict[str, object]]:
        """For the trace: one for each rule."""
        said: list[dict[str, object]] = [{"failed": True}] if self.decision.failed else []
        sent = {str(path) for plan in self.forwards for path in plan.paths}
        for rule in self.decision.matched:
            fact: dict[str, object] = {"rule": rule.id, "name": rule.name}
            if places is not None and rule.id in places.by_rule:
                fact["mailbox"] = places.by_rule[rule.id]
                fact["gone"] = rule.id in places.gone
            if rule.words:
                fact["keywords"] = sorted(rule.words)
            for name, among in (("forwarded", sent), ("withheld", self.withheld)):
                addresses = [address for address in rule.forward if address in among]
                if addresses:
                    fact[name] = addresses
            said.append(fact)
        return said


@dataclass(slots=True)
class Plan:
    """Everything about a message that is decided before its transaction."""

    submission: Submission
    reading: Scan
    copy: Copy
    accepted_at: int
    expires_at: int
    lane: Lane = Lane.INTERACTIVE
    local: list[Local] = field(default_factory=list)
    rows: list[QueueRecipient] = field(default_factory=list)  # those that travel, or are settled
    sources: list[list[int]] = field(
        default_factory=list
    )  # recipient numbers by envelope recipient
    refused: dict[int, Status] = field(default_factory=dict)  # by envelope recipient
    lines: dict[str, tuple[str, ...]] = field(default_factory=dict)  # that some join, with hosts
    release_at: int = 0  # ms; until then all of it waits; 0: nothing does
    deliver_by: int | None = None  # ms
    report: Report | None = None  # where it is one about a message that was sent
    rulings: Mapping[int, Ruling] = field(default_factory=dict)  # by the number of the recipient

    @property
    def travels(self) -> bool:
        return any(row.state is State.WAITING for row in self.rows)

    @property
    def paths(self) -> list[Address]:
        return [recipient.forward_path for recipient in self.submission.envelope.recipients]

    @property
    def destinations(self) -> list[str]:
        """Where its recipients must travel to, each once."""
        waiting = (row.destination for row in self.rows if row.state is State.WAITING)
        return list(dict.fromkeys(waiting))

    def line_up(self, destination: str, key: str, hosts: tuple[str, ...], due_at: int) -> None:
        """Let those for a destination wait in a line. due_at: the next mark of their age (ms)."""
        self.lines[key] = hosts
        self.rows = [
            replace(row, waits_for=key, due_at=due_at)
            if row.state is State.WAITING and row.destination == destination
            else row
            for row in self.rows
        ]

    def claim(self, worker: str, wanted: Sequence[str]) -> None:
        """Let the accepting worker take those for `wanted` destinations in hand at once."""
        self.rows = [
            replace(row, state=State.CLAIMED, claimed_by=worker)
            if row.state is State.WAITING and row.destination in wanted
            else row
            for row in self.rows
        ]


class Accepted(msgspec.Struct, frozen=True):
    """What became of a message: one outcome per envelope recipient, None where it is queued."""

    queue_id: QueueId
    outcomes: tuple[Outcome | None, ...]
    message: QueueMessage | None = None  # the rows, where something is left to do
    rows: tuple[QueueRecipient, ...] = ()
    placed: frozenset[int] = frozenset()  # the accounts that have it now


async def look_up(submission: Submission, recipients: Recipients) -> list[Lookup]:
    """Where the envelope's recipients lead now: as was asked at RCPT, else of the directory."""
    if submission.lookups is not None:
        return list(submission.lookups)
    may_relay = True  # who may relay has been decided at RCPT, before we said yes
    return [
        await recipients.lookup(recipient.forward_path, may_relay=may_relay)
        for recipient in submission.envelope.recipients
    ]


def plan(submission: Submission, lookups: Sequence[Lookup], config: QueueConfig, now: int) -> Plan:
    """Read the message and lay out its recipients; no database. Raises SubmissionRefused."""
    content, envelope = submission.content, submission.envelope
    here = any(isinstance(target, LocalTarget) for look in lookups for target in look.targets)
    reading = scan(content, submission.header, deep=here, pure=submission.pure)
    if reading.hops > MAX_HOPS:
        raise SubmissionRefused(TOO_MANY_HOPS, permanent=True)
    copy = prepare(
        content,
        reading,
        trace=submission.header,
        reverse_path=envelope.reverse_path,
        at=now,
        queue_id=submission.queue_id,
    )
    made = Plan(submission, reading, copy, now, now, _lane(submission, reading, config))
    if submission.release_at > now:
        made.release_at = submission.release_at
    if here:
        made.report = receipts.read(content, reading.structure)
    _lay_out(made, lookups)
    mail = mail_of(envelope.reverse_path is None, made.lane)
    life = patience_of(config).lifetime(made.destinations, mail)
    if submission.lifetime is not None:
        life = min(life, max(0, submission.lifetime))
    made.expires_at = max(now, made.release_at) + life
    if envelope.by is not None:
        made.deliver_by = now + envelope.by.seconds * 1000
        if envelope.by.returns:
            made.expires_at = min(made.expires_at, made.deliver_by)
    return made


async def plan_apart(
    submission: Submission, lookups: Sequence[Lookup], config: QueueConfig, now: int
) -> Plan:
    """The same; what is large is read in another thread."""
    if len(submission.content) < LARGE:
        return plan(submission, lookups, config, now)
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, plan, submission, lookups, config, now)


def _lane(submission: Submission, reading: Scan, config: QueueConfig) -> Lane:
    """Mail to many travels behind mail to one: by what its header says, or by its recipients."""
    if submission.lane is not Lane.INTERACTIVE:
        return submission.lane
    many = 0 < config.bulk_recipients <= len(submission.envelope.recipients)
    return Lane.BULK if many or reading.bulk else Lane.INTERACTIVE


def _lay_out(made: Plan, lookups: Sequence[Lookup]) -> None:
    """Number the targets: each mailbox and address once, however many recipients lead to it."""
    numbers: dict[object, int] = {}
    n = 0
    for index, (recipient, lookup) in enumerate(
        zip(made.submission.envelope.recipients, lookups, strict=True)
    ):
        mine: list[int] = []
        made.sources.append(mine)
        if lookup.refusal is not None:  # gone since RCPT
            made.refused[index] = lookup.refusal
            made.rows.append(_settled(n, recipient, State.FAILED, lookup.refusal, made.accepted_at))
            mine.append(n)
            n += 1
            continue
        if lookup.distributed and recipient.wishes & Notify.SUCCESS:
            made.rows.append(_settled(n, recipient, State.EXPANDED, DISTRIBUTED, made.accepted_at))
            n += 1
        for target in lookup.targets:
            key: object = target.address.key
            if isinstance(target, LocalTarget):
                key = (target.account, target.detail)
            if key in numbers:
                mine.append(numbers[key])
                continue
            numbers[key] = n
            mine.append(n)
            _add(made, n, _passed_on(recipient, target.address, lookup), target)
            n += 1


def _add(made: Plan, n: int, recipient: Recipient, target: LocalTarget | RemoteTarget) -> None:
    if isinstance(target, LocalTarget):
        again = bool(made.reading.delivered_to) and loops(made.reading.delivered_to, target)
        if again or not made.release_at:
            made.local.append(Local(n, recipient, target, again))
            return
    if isinstance(target, LocalTarget):
        destination = local_destination(target)
    else:
        destination = target.destination
    due_at = made.release_at or made.accepted_at
    made.rows.append(QueueRecipient(n, recipient, destination, due_at=due_at, status=None))


def _passed_on(recipient: Recipient, address: Address, lookup: Lookup) -> Recipient:
    """The wishes that travel with a target (RFC 3461 sections 5.2.7.1 and 6.1)."""
    if not lookup.expanded:
        return recipient
    notify = recipient.notify
    if lookup.distributed and notify is not None:
        notify &= ~Notify.SUCCESS  # an "expanded" report has answered it
    original = recipient.original or f"rfc822;{recipient.forward_path}"
    return Recipient(address, notify, original)


def _settled(
    n: int, recipient: Recipient, state: State, status: Status, now: int
) -> QueueRecipient:
    return QueueRecipient(n, recipient, "", state, now, 0, now, status, Told.NOTHING, now)


def place_copy(
    tx: Tx, copy: Copy, target: LocalTarget, ref: BlobRef, ruling: Ruling | None
) -> Steps[tuple[Outcome, Placed | None, Sequence[dict[str, object]]]]:
    """Deliver one copy as its owner's rules have it, and accept the copies that these send.

    Returns the outcome, where it went, and for the trace what the rules did.
    """
    decision = None if ruling is None else ruling.decision
    outcome, where, places = yield from deliver_copy(tx, copy, target, ref, decision)
    if ruling is None or where is None:
        return outcome, where, ()
    for forward in ruling.forwards:
        yield from accept(tx, forward, 0, ref=ref)
    return outcome, where, ruling.facts(places)


def accept(
    tx: Tx, made: Plan, lease: int, blob: int = 0, ref: BlobRef | None = None
) -> Steps[Accepted]:
    """Make the message durable: the operation of transition 1.

    blob: which of the operation's blobs is the content; ref: the content, where it is kept already.
    lease: ms from now for claimed rows. Copies that rules send are accepted with it. Raises
    trace.IdTaken.
    """
    submission, rows = made.submission, list(made.rows)
    envelope = submission.envelope
    if ref is None:
        ref = tx.blob(blob)
    outcomes: dict[int, Outcome] = {}
    placed: list[dict[str, object]] = []
    into: list[int] = []
    for item in made.local:
        outcome: Outcome
        ruling = made.rulings.get(item.n)
        where: Placed | None = None
        said: Sequence[dict[str, object]] = ()
        if item.loop:
            outcome = Failed(LOOP)
        else:
            outcome, where, said = yield from place_copy(tx, made.copy, item.target, ref, ruling)
        outcomes[item.n] = outcome
        if where is not None:
            into.append(item.target.account)
            fact: dict[str, object] = {
                "to": str(item.target.address), "mailbox": where.mailbox, "uid": where.uid,
            }  # fmt: skip
            if said:
                fact["rules"] = said
            placed.append(fact)
            if made.report is not None:
                about = submission.about
                yield from receipts.note(tx, item.target.account, where.email, made.report, about)
        row = _row_left(made, item, outcome)
        if row is not None:
            rows.append(row)
    facts = dict(submission.facts)
    facts["size"] = ref.length
    if placed:
        facts["placed"] = placed
    if rows:
        facts["queued"] = [
            {
                "to": str(row.recipient.forward_path),
                "via": row.destination,
                "state": row.state.value,
            }
            for row in rows
        ]
    if made.release_at:
        facts["release_at"] = made.release_at
    if submission.about is not None:
        facts["about"] = submission.about
    yield from trace.record(
        submission.queue_id,
        made.accepted_at,
        envelope.reverse_path,
        made.paths,
        made.reading.digest.message_id,
        facts,
    )
    answers = tuple(_answer(made, index, outcomes) for index in range(len(made.sources)))
    told: set[int] = set()
    if submission.answered:
        for numbers, answer in zip(made.sources, answers, strict=True):
            told.update(numbers if isinstance(answer, Failed) else ())
    rows = [row for row in rows if row.n not in told and _matters(row, envelope)]
    if not rows:
        return Accepted(submission.queue_id, answers, placed=frozenset(into))
    message = QueueMessage(
        submission.queue_id, ref, made.copy.digest, submission.header, envelope.reverse_path,
        submission.submitter, made.lane, envelope.body, envelope.smtputf8,
        envelope.ret_full, envelope.envid, made.reading.hops, made.accepted_at, made.expires_at,
        about=submission.about, release_at=made.release_at, deliver_by=made.deliver_by,
        by_mode="" if envelope.by is None else envelope.by.mode,
    )  # fmt: skip
    yield from enqueue(message, rows, tx.now + lease)
    for key, hosts in made.lines.items():
        yield from lined_up(tx, key, hosts)
    if any(row.state is not State.CLAIMED and row.waits_for is None for row in rows):
        tx.announce(TOPIC)
    return Accepted(submission.queue_id, answers, message, tuple(rows), frozenset(into))


def _row_left(made: Plan, item: Local, outcome: Outcome) -> QueueRecipient | None:
    """What remains to be done for a local recipient; None when all is said."""
    now = made.accepted_at
    if isinstance(outcome, Delivered):
        if not item.recipient.wishes & Notify.SUCCESS:
            return None
        return _settled(item.n, item.recipient, State.DELIVERED, DELIVERED, now)
    if isinstance(outcome, Deferred):
        destination = local_destination(item.target)
        return QueueRecipient(
            item.n, item.recipient, destination, due_at=now + LOCAL_RETRY, status=outcome.status
        )
    return _settled(item.n, item.recipient, State.FAILED, outcome.status, now)


def _matters(row: QueueRecipient, envelope: Envelope) -> bool:
    """Whether a row has anything left to do: to travel, or to be reported to somebody."""
    if not row.state.settled:
        return True
    return envelope.reverse_path is not None and wants_report(row)


def wants_report(row: QueueRecipient, traced: bool = False) -> bool:
    """Whether the sender wishes to hear of a settled recipient (RFC 3461 section 4.1).

    traced: of each relay, unless of nothing at all (RFC 2852 section 4.2).
    """
    if traced and row.state is State.RELAYED and row.recipient.wishes is not Notify.NEVER:
        return True
    wish = Notify.FAILURE if row.state.bad else Notify.SUCCESS
    return bool(row.recipient.wishes & wish)


def _answer(made: Plan, index: int, outcomes: Mapping[int, Outcome]) -> Outcome | None:
    """What the submitter may be told of an envelope recipient at once."""
    if index in made.refused:
        return Failed(made.refused[index])
    found = [outcomes.get(n) for n in made.sources[index]]
    if any(outcome is None or isinstance(outcome, Deferred) for outcome in found):
        return None
    bad = [outcome for outcome in found if isinstance(outcome, Failed)]
    if bad and len(bad) == len(found):
        return bad[0]
    return Delivered(DELIVERED)
