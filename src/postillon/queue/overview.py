"""What an administrator sees of the queue: depths, destinations, messages with their forecast.

Counts are made from covering indexes or from one pass over the recipients, and answers are bounded,
so that a queue of a million recipients is told in about a second.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from postillon.queue import destinations
from postillon.queue.destinations import Destination
from postillon.queue.ids import QueueId, accepted_at, last_queue_id
from postillon.queue.rows import (
    FAR,
    MESSAGE_COLUMNS,
    RECIPIENT_COLUMNS,
    Held,
    Lane,
    QueueMessage,
    QueueRecipient,
    message_of,
    recipient_of,
)
from postillon.queue.selection import FIRST, UNBOUNDED, Key, Selection, escaped, keys
from postillon.queue.spool import history, load
from postillon.store.operation import Steps

MAX_LISTED = 10_000  # recipients one list gives at most
MAX_TRIES = 1_000  # past tries of one message that are told
NAMED = 1_000  # recipients at the head of a line among which its domains are looked for

_MESSAGE = f"SELECT {MESSAGE_COLUMNS} FROM queue_message WHERE queue_id = ?"  # noqa: S608 - constant
_RECIPIENT = f"SELECT {RECIPIENT_COLUMNS} FROM queue_recipient WHERE queue_id = ? AND n = ?"  # noqa: S608


@dataclass(frozen=True, slots=True)
class LaneDepth:
    """The waiting recipients of one lane. `oldest` in ms, None where nobody waits."""

    recipients: int
    due: int  # may be tried now
    oldest: int | None


@dataclass(frozen=True, slots=True)
class Depth:
    """How long the queue is: messages, and recipients by what they wait for."""

    messages: int
    lanes: dict[Lane, LaneDepth]
    in_hand: int
    in_line: int  # of a destination that is down, busy or held
    held: int  # by an administrator or isolated
    owed: int  # ended, the sender is still to be told
    isolated: int  # messages
    scheduled: int = 0  # for the time their senders have chosen

    @property
    def waiting(self) -> int:
        return sum(lane.recipients for lane in self.lanes.values())

    @property
    def oldest(self) -> int | None:
        return min((lane.oldest for lane in self.lanes.values() if lane.oldest), default=None)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of what waits for one destination. first: the id of the oldest message."""

    name: str
    recipients: int
    messages: int
    first: int
    next_due: int  # ms, of those that wait for their own time; FAR when none does

    def __add__(self, other: Tally) -> Tally:
        """Of other messages for the same destination."""
        return Tally(
            self.name,
            self.recipients + other.recipients,
            self.messages + other.messages,
            min(self.first, other.first),
            min(self.next_due, other.next_due),
        )


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for one destination. Times in ms; `known` None: nothing is wrong with it."""

    name: str  # a domain or a next hop; the key of a line where its domain is not known
    recipients: int
    messages: int
    oldest: int
    next_due: int  # of those that wait for their own time; FAR when none does
    known: Destination | None = None
    domains: tuple[str, ...] = ()  # that wait in its line, some of them


@dataclass(frozen=True, slots=True)
class Listed:
    """A message and those of its recipients that are meant, with what their destinations do."""

    message: QueueMessage
    recipients: tuple[QueueRecipient, ...]
    lines: dict[int, Destination] = field(default_factory=dict)  # by number of the recipient


@dataclass(frozen=True, slots=True)
class Attempt:
    """A past try of a recipient. `at` in ms; `status` as JSON (rows.read_status)."""

    n: int
    at: int
    outcome: str
    status: str


def depth(now: int) -> Steps[Depth]:
    """The counts, each from an index that holds no more than is counted. now: ms."""
    lanes: dict[Lane, LaneDepth] = {}
    held = 0
    for lane in Lane:
        rows = yield (
            "SELECT COUNT(*), MIN(CASE WHEN due_at < ? THEN queue_id END) FROM queue_recipient"
            " WHERE state = 'waiting' AND lane = ?",
            (FAR, int(lane)),
        )
        number, first = rows[0]
        due = yield from _one(
            "SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting' AND lane = ?"
            " AND due_at <= ?",
            int(lane),
            now,
        )
        kept = yield from _one(
            "SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting' AND lane = ?"
            " AND due_at >= ? AND waits_for IS NULL",
            int(lane),
            FAR,
        )
        held += kept
        lanes[lane] = LaneDepth(number - kept, due, None if first is None else accepted_at(first))
    in_hand = yield from _one("SELECT COUNT(*) FROM queue_recipient WHERE state = 'claimed'")
    in_line = yield from _one(
        "SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting' AND waits_for IS NOT NULL"
    )
    owed = yield from _one(
        "SELECT COUNT(*) FROM queue_recipient WHERE state NOT IN ('waiting', 'claimed')"
        " AND told < 4"
    )
    isolated = yield from _one(
        "SELECT COUNT(*) FROM queue_message WHERE crashes > 0 AND held = ?", int(Held.ISOLATED)
    )
    messages = yield from _one("SELECT COUNT(*) FROM queue_message")
    planned = yield from scheduled(now)
    return Depth(messages, lanes, in_hand, in_line, held, owed, isolated, planned)


def scheduled(now: int, last: int = UNBOUNDED) -> Steps[int]:
    """How many recipients wait for a time their senders have chosen. last: greatest queue id."""
    return (
        yield from _one(
            "SELECT COUNT(*) FROM queue_message m JOIN queue_recipient r ON r.queue_id = m.queue_id"
            " WHERE m.release_at > 0 AND m.release_at > ? AND m.queue_id <= ?"
            " AND r.state = 'waiting' AND r.due_at < ?",
            now,
            last,
            FAR,
        )
    )


def waited_longer(age: int, now: int) -> Steps[int]:
    """How many recipients wait for longer than `age` ms, held ones aside."""
    number = 0
    last = last_queue_id(now - age)
    for lane in Lane:
        number += yield from _one(
            "SELECT COUNT(*) FROM queue_recipient WHERE state = 'waiting' AND lane = ?"
            " AND due_at < ? AND queue_id <= ?",
            int(lane),
            FAR,
            last,
        )
    return number - (yield from scheduled(now, last))


# Destinations ------------------------------------------------------------------------------------


def tally(after: int, end: int) -> Steps[list[Tally]]:
    """What messages with ids in (after, end] wait for, by destination in no order."""
    rows = yield (
        "SELECT COALESCE(waits_for, destination) AS name, COUNT(*), COUNT(DISTINCT queue_id),"
        " MIN(queue_id), MIN(CASE WHEN waits_for IS NULL THEN due_at ELSE ? END)"
        " FROM queue_recipient WHERE queue_id > ? AND queue_id <= ? AND state = 'waiting'"
        " GROUP BY COALESCE(waits_for, destination)",
        (FAR, after, end),
    )
    return [Tally(*row) for row in rows]


def described(found: Sequence[Tally]) -> Steps[list[Queue]]:
    """Destinations with what is known of each, in the order given."""
    queues = []
    for item in found:
        known = yield from destinations.get(item.name)
        domains = yield from domains_of(item.name)
        queues.append(
            Queue(item.name, item.recipients, item.messages, accepted_at(item.first),
                  item.next_due, known, domains)
        )  # fmt: skip
    return queues


def troubled(but: Collection[str], limit: int) -> Steps[list[Queue]]:
    """Destinations that are down or held though nothing waits for them. but: those told already."""
    return [
        Queue(known.key, 0, 0, 0, FAR, known)
        for known in (yield from destinations.every(limit))
        if (known.down or known.held) and known.key not in but
    ]


def domains_of(key: str) -> Steps[tuple[str, ...]]:
    """The domains at the head of a destination's line, in the order of the alphabet."""
    rows = yield (
        "SELECT DISTINCT destination FROM (SELECT destination FROM queue_recipient"
        " WHERE state = 'waiting' AND waits_for = ? LIMIT ?) AS head ORDER BY destination",
        (key, NAMED),
    )
    return tuple(domain for (domain,) in rows)


def keys_of(name: str) -> Steps[tuple[str, ...]]:
    """The keys of the destinations a person may mean: by key, by server, or by a waiting domain."""
    rows = yield (
        "SELECT key FROM queue_destination WHERE key = ? OR ' ' || hosts || ' ' LIKE ? ESCAPE '\\'"
        " ORDER BY key LIMIT 100",
        (name, f"% {escaped(name)} %"),
    )
    found = dict.fromkeys(key for (key,) in rows)
    rows = yield (
        "SELECT waits_for FROM queue_recipient WHERE state = 'waiting' AND destination = ?"
        " AND waits_for IS NOT NULL LIMIT 1",
        (name,),
    )
    found |= dict.fromkeys(key for (key,) in rows)
    return tuple(found)


# Messages ----------------------------------------------------------------------------------------


def listing(selection: Selection, after: Key = FIRST, limit: int = 100) -> Steps[list[Listed]]:
    """At most `limit` recipients that are meant, with their messages, oldest first."""
    found = yield from keys(selection, after, min(limit, MAX_LISTED))
    numbers: dict[QueueId, list[int]] = {}
    for queue_id, n in found:
        numbers.setdefault(queue_id, []).append(n)
    listed = []
    known: dict[str, Destination | None] = {}
    for queue_id, some in numbers.items():
        rows = yield _MESSAGE, (queue_id,)
        recipients: list[QueueRecipient] = []
        for n in some:
            recipients += map(recipient_of, (yield _RECIPIENT, (queue_id, n)))
        lines = yield from _lines(recipients, known)
        listed.append(Listed(message_of(rows[0]), tuple(recipients), lines))
    return listed


def show(queue_id: QueueId) -> Steps[tuple[Listed, list[Attempt]] | None]:
    """A message with all its recipients that have rows, and their past tries."""
    found = yield from load(queue_id)
    if found is None:
        return None
    message, recipients = found
    attempts: list[Attempt] = []
    for item in recipients:
        tries = yield from history(queue_id, item.n)
        attempts += [Attempt(item.n, at, outcome, status) for at, outcome, status in tries]
        if len(attempts) > MAX_TRIES:
            break
    lines = yield from _lines(recipients, {})
    return Listed(message, tuple(recipients), lines), attempts[:MAX_TRIES]


def _lines(
    recipients: Sequence[QueueRecipient], known: dict[str, Destination | None]
) -> Steps[dict[int, Destination]]:
    """What is known of the destinations in whose lines they stand. known: those asked before."""
    found: dict[int, Destination] = {}
    for item in recipients:
        key = item.waits_for
        if key is None:
            continue
        if key not in known:
            known[key] = yield from destinations.get(key)
        line = known[key]
        if line is not None:
            found[item.n] = line
    return found


def _one(sql: str, *arguments: int) -> Steps[int]:
    rows = yield sql, arguments
    number: int = rows[0][0]
    return number
