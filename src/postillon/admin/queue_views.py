"""What an administrator sees of the queue, as values for people and programs, made from its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.mail.outcome import Status
from postillon.queue import watching
from postillon.queue.config import QueueConfig
from postillon.queue.destinations import Destination
from postillon.queue.overview import Depth, Listed, Queue
from postillon.queue.patience import Terms, mail_of, patience_of
from postillon.queue.rows import FAR, Held, QueueMessage, QueueRecipient, State, Told
from postillon.queue.selection import Standing
from postillon.route.hop import is_next_hop


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A destination of which something is known. Times in ms, None where it does not apply."""

    key: str
    name: str  # its domains, or the key where they are not known
    hosts: tuple[str, ...]
    recipients: int  # in its line
    down_since: int | None
    next_probe_at: int | None  # when it is tried next; None while a probe is out
    held: bool
    words: str  # its last words when it failed
    said_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The waiting mail of one lane. Counts are of recipients, times in ms."""

    lane: str
    waiting: int
    due: int  # may be tried now
    oldest: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """What waits for one destination. Times in ms."""

    name: str
    recipients: int
    messages: int
    oldest: int | None
    next_try_at: int | None  # None: not before somebody acts, or a probe is out
    line: Line | None  # None: nothing is wrong with it


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertView:
    """Something the watch has found. Times in ms; `ended_at` None: it goes on."""

    kind: str
    subject: str  # "" where the queue as a whole is meant
    words: str  # as it began
    remedy: str
    began_at: int
    ended_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The queue at one moment. Counts are of recipients where nothing else is said."""

    at: int  # ms
    messages: int
    waiting: int  # for a time or in a line
    in_hand: int
    in_line: int
    scheduled: int  # of the waiting ones: for the time their senders have chosen
    held: int
    isolated: int  # messages
    reports_owed: int
    oldest: int | None  # ms
    lanes: tuple[Lane, ...]
    destinations: tuple[QueueView, ...]
    destination_count: int
    held_messages: tuple[Queued, ...]  # held or isolated, some
    alerts: tuple[AlertView, ...]  # that go on


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One recipient of a message in the queue. Times in ms."""

    address: str
    destination: str
    state: str
    due_at: int | None  # the next try; None: not before somebody acts, or a try is under way
    attempts: int
    last_at: int | None
    status: str  # the last words, "" before the first try
    told: bool  # of its end: its sender knows, or wants to hear nothing
    gives_up_at: int  # when its sender is told that it failed
    attempts_at_most: int  # after so many deferrals too; 0: no such limit
    line: Line | None  # the destination in whose line it stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Queued:
    """A message in the queue. Times in ms."""

    id: str
    reverse_path: str  # "" is the null sender
    size: int  # octets of the content
    lane: str  # interactive, bulk, report
    accepted_at: int
    expires_at: int
    held: str  # "", "held" by an administrator, "isolated" after crashes
    release_at: int | None  # when its sender lets it go; None: at once
    deliver_by: int | None  # until when it is of use to its sender; None: not said
    recipients: tuple[Waiting, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A bounded list: the first recipients that match, by message, and how many there are."""

    messages: tuple[Queued, ...]
    recipients_in_all: int
    messages_in_all: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A past attempt of one recipient."""

    at: int  # ms
    address: str
    outcome: str
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedStory:
    """A message with its attempts, oldest first."""

    message: Queued
    attempts: tuple[Try, ...]


def words(status: Status | None) -> str:
    """A status on one line: our code and text, and what the other host said."""
    if status is None:
        return ""
    text = f"{status.code} {status.text}"
    if status.remote is not None:
        text += f" ({status.host + ': ' if status.host else ''}{status.remote})"
    return text


def line_of(key: str, row: Destination | None, domains: Sequence[str], recipients: int) -> Line:
    """row None: the destination's row is gone, as the last of its line just went."""
    name = ", ".join(domains[:3]) + (" …" if len(domains) > 3 else "")
    if is_next_hop(key):
        name = key
    if row is None:
        return Line(
            key=key, name=name or key, hosts=(), recipients=recipients, down_since=None,
            next_probe_at=None, held=False, words="", said_at=None,
        )  # fmt: skip
    return Line(
        key=key,
        name=name or (" ".join(row.hosts) if ":" in key else key),
        hosts=row.hosts,
        recipients=recipients,
        down_since=row.down_since,
        next_probe_at=_probe_at(row),
        held=row.held,
        words=words(row.status),
        said_at=row.said_at,
    )


def _probe_at(row: Destination) -> int | None:
    waits = row.down and not row.held and row.probed_by is None and row.next_at < FAR
    return row.next_at if waits else None


def overview_of(
    now: int,
    depth: Depth,
    found: Sequence[Queue],
    number: int,
    held: Sequence[Queued],
    alerts: Sequence[AlertView],
) -> Overview:
    return Overview(
        at=now,
        messages=depth.messages,
        waiting=depth.waiting,
        in_hand=depth.in_hand,
        in_line=depth.in_line,
        scheduled=depth.scheduled,
        held=depth.held,
        isolated=depth.isolated,
        reports_owed=depth.owed,
        oldest=depth.oldest,
        lanes=tuple(
            Lane(lane=name.name.lower(), waiting=lane.recipients, due=lane.due, oldest=lane.oldest)
            for name, lane in depth.lanes.items()
        ),
        destinations=tuple(map(queue_view, found)),
        destination_count=number,
        held_messages=tuple(held),
        alerts=tuple(alerts),
    )


def alert_of(item: watching.Standing) -> AlertView:
    return AlertView(
        kind=item.alert.kind.value,
        subject=item.alert.subject,
        words=item.alert.words,
        remedy=item.alert.remedy,
        began_at=item.began_at,
        ended_at=item.ended_at,
    )


def queue_view(item: Queue) -> QueueView:
    line = None
    due: int | None = item.next_due if item.next_due < FAR else None
    if item.known is not None or item.domains:
        line = line_of(item.name, item.known, item.domains, item.recipients)
        if line.down_since is not None or line.held:
            due = line.next_probe_at
    return QueueView(
        name=_named(item.name) if line is None else line.name,
        recipients=item.recipients,
        messages=item.messages,
        oldest=item.oldest or None,
        next_try_at=due,
        line=line,
    )


def _named(destination: str) -> str:
    return "this server" if destination.startswith("local/") else destination


_HELD = {Held.FREE: "", Held.BY_ADMINISTRATOR: "held", Held.ISOLATED: "isolated"}


def queued(item: Listed, config: QueueConfig) -> Queued:
    message = item.message
    patience = patience_of(config)
    mail = mail_of(message.reverse_path is None, message.lane)

    def waiting(recipient: QueueRecipient) -> Waiting:
        row = item.lines.get(recipient.n)
        hosts = () if row is None else row.hosts
        return _waiting(message, recipient, row, patience.terms(recipient.destination, hosts, mail))

    return Queued(
        id=message.name,
        reverse_path="" if message.reverse_path is None else str(message.reverse_path),
        size=len(message.prefix) + message.ref.length,
        lane=message.lane.name.lower(),
        accepted_at=message.accepted_at,
        expires_at=message.expires_at,
        held=_HELD[message.held],
        release_at=message.release_at or None,
        deliver_by=message.deliver_by,
        recipients=tuple(map(waiting, item.recipients)),
    )


def _waiting(
    message: QueueMessage, item: QueueRecipient, row: Destination | None, terms: Terms
) -> Waiting:
    line = None
    if row is not None and item.state is State.WAITING:
        line = line_of(row.key, row, (item.destination,), 0)
    due: int | None = None
    if item.state is State.WAITING and (item.due_at < FAR or line is not None):
        due = item.due_at if line is None else line.next_probe_at
    state = item.state.value
    if item.state is State.CLAIMED:
        state = Standing.IN_HAND.value
    elif item.state is State.WAITING and item.due_at >= FAR and line is None:
        state = _HELD[message.held] or Standing.HELD.value
    elif (
        item.state is State.WAITING
        and not item.attempts
        and item.waits_for is None
        and item.due_at == message.release_at
    ):
        state = Standing.SCHEDULED.value
    return Waiting(
        address=str(item.recipient.forward_path),
        destination=_named(item.destination),
        state=state,
        due_at=due,
        attempts=item.attempts,
        last_at=item.last_at,
        status=words(item.status),
        told=bool(item.told & Told.END),
        gives_up_at=min(message.expires_at, message.starts_at + terms.lifetime),
        attempts_at_most=terms.attempts,
        line=line,
    )
