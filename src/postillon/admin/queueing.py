"""What an administrator sees of the queue and of the traces, and does to waiting mail."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from postillon.admin.desk import Desk
from postillon.admin.errors import Refused
from postillon.mail.outcome import Status
from postillon.queue import trace, verbs
from postillon.queue.ids import QueueId, format_queue_id, parse_queue_id
from postillon.queue.rows import FAR, Held, QueueRecipient, State, read_status
from postillon.queue.verbs import Listed, QueueError
from postillon.store.operation import WriteOperation

AT_ONCE = 500  # messages of one page when all are wanted


class Verb(Enum):
    """What can be done to a waiting message."""

    RETRY = "retry"
    HOLD = "hold"
    RELEASE = "release"
    BOUNCE = "bounce"
    DROP = "drop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """One recipient of a message in the queue. Times in ms."""

    address: str
    destination: str
    state: str
    due_at: int | None  # None: not before somebody acts
    attempts: int
    last_at: int | None
    status: str  # the last words, "" before the first try


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
    recipients: tuple[Waiting, ...]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened after acceptance."""

    at: int  # ms
    kind: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A message from the connection it came by to where it went."""

    id: str
    at: int  # ms
    reverse_path: str  # "" is the null sender
    forward_paths: tuple[str, ...]
    message_id: str
    facts: Mapping[str, object]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a verb did."""

    id: str
    verb: str
    recipients: int  # that it concerned


def listing(desk: Desk, match: str = "", limit: int = 100) -> list[Queued]:
    """Oldest first. match: an address, a domain, a destination, or a reverse-path; "" is all."""
    return [_queued(item) for item in desk.store.read(verbs.listing(match, limit=limit))]


def counts(desk: Desk) -> dict[str, int]:
    """Recipients in each state, messages in all, held and isolated."""
    return desk.store.read(verbs.counts())


def show(desk: Desk, text: str) -> QueuedStory:
    """Raises Refused."""
    queue_id = read_id(text)
    found = desk.store.read(verbs.show(queue_id))
    if found is None:
        raise Refused(
            f"there is no message {text} in the queue", f"its story: postillon trace {text}"
        )
    listed, attempts = found
    names = {item.n: str(item.recipient.forward_path) for item in listed.recipients}
    tries = [
        Try(
            at=item.at,
            address=names[item.n],
            outcome=item.outcome,
            status=words(read_status(item.status)),
        )
        for item in sorted(attempts, key=lambda item: item.at)
    ]
    return QueuedStory(message=_queued(listed), attempts=tuple(tries))


async def act(desk: Desk, verb: Verb, text: str, *, why: str = "", who: str = "") -> Acted:
    """Do it, durably. why: told to the sender by bounce. who: kept in the trace by drop.

    Raises Refused.
    """
    queue_id = read_id(text)
    makers: Mapping[Verb, Callable[[], WriteOperation[int]]] = {
        Verb.RETRY: lambda: verbs.retry(queue_id),
        Verb.HOLD: lambda: verbs.hold(queue_id),
        Verb.RELEASE: lambda: verbs.release(queue_id),
        Verb.BOUNCE: lambda: verbs.bounce(queue_id, why),
        Verb.DROP: lambda: verbs.drop(queue_id, who),
    }
    try:
        count = await desk.store.write(makers[verb]())
    except QueueError as error:
        raise Refused(f"{text}: {error}") from None
    return Acted(id=format_queue_id(queue_id), verb=verb.value, recipients=count)


def matching(desk: Desk, match: str) -> list[str]:
    """The ids of all messages that `listing` would find, however many."""
    found: list[str] = []
    after = 0
    while True:
        page = desk.store.read(verbs.listing(match, after, AT_ONCE))
        found += [item.message.name for item in page]
        if len(page) < AT_ONCE:
            return found
        after = page[-1].message.queue_id


async def traces(desk: Desk, text: str, limit: int = 20) -> list[Story]:
    """The story of a queue id, or the latest messages of an address or Message-ID, newest first.

    Raises Refused if there is none.
    """
    try:
        queue_id = parse_queue_id(text)
    except ValueError:
        pass
    else:
        found = desk.store.read(trace.find(queue_id))
        if found is not None:
            return [_story(found)]
    matches = await desk.store.read_apart(trace.search(text, limit))
    whole = [desk.store.read(trace.find(item.queue_id)) for item in matches]
    stories = [_story(item) for item in whole if item is not None]
    if not stories:
        hint = "give a queue id, an address or a Message-ID; traces are kept for [queue] trace_days"
        raise Refused(f"there is no trace of {text}", hint)
    return stories


def read_id(text: str) -> QueueId:
    """Raises Refused."""
    try:
        return parse_queue_id(text)
    except ValueError as error:
        raise Refused(f"{text!r}: {error}", "ids stand in: postillon queue list") from None


def words(status: Status | None) -> str:
    """A status on one line: our code and text, and what the other host said."""
    if status is None:
        return ""
    text = f"{status.code} {status.text}"
    if status.remote is not None:
        text += f" ({status.host + ': ' if status.host else ''}{status.remote})"
    return text


def _queued(item: Listed) -> Queued:
    message = item.message
    held = {Held.FREE: "", Held.BY_ADMINISTRATOR: "held", Held.ISOLATED: "isolated"}
    return Queued(
        id=message.name,
        reverse_path="" if message.reverse_path is None else str(message.reverse_path),
        size=len(message.prefix) + message.ref.length,
        lane=message.lane.name.lower(),
        accepted_at=message.accepted_at,
        expires_at=message.expires_at,
        held=held[message.held],
        recipients=_waiting(item.recipients),
    )


def _waiting(recipients: Sequence[QueueRecipient]) -> tuple[Waiting, ...]:
    return tuple(
        Waiting(
            address=str(item.recipient.forward_path),
            destination="this server" if item.local else item.destination,
            state=item.state.value,
            due_at=item.due_at if item.state is State.WAITING and item.due_at < FAR else None,
            attempts=item.attempts,
            last_at=item.last_at,
            status=words(item.status),
        )
        for item in recipients
    )


def _story(found: trace.Trace) -> Story:
    return Story(
        id=format_queue_id(found.queue_id),
        at=found.at,
        reverse_path=found.reverse_path,
        forward_paths=found.forward_paths,
        message_id=found.message_id,
        facts=found.facts,
        events=tuple(Event(at=item.at, kind=item.kind, facts=item.facts) for item in found.events),
    )
