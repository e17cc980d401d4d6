"""Which recipients an administrator means: conditions that hold together, as SQL of both databases.

A selection is counted and walked in pages of messages, so that neither a read transaction nor memory
grows with the queue. It ends at the moment it was made: mail that arrives later is not meant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, NewType

import msgspec

from postillon.mail.envelope import Notify
from postillon.mail.outcome import Reply, Status
from postillon.queue.ids import QueueId, last_queue_id
from postillon.queue.rows import FAR, Held, status_text
from postillon.store import like
from postillon.store.operation import Row, Steps

PAGE = 50_000  # messages whose recipients one read looks at
NULL_SENDER = "<>"  # how the empty reverse-path is written
UNBOUNDED = (1 << 63) - 1

Key = NewType("Key", tuple[QueueId, int])  # message and number of the recipient
FIRST = Key((QueueId(0), -1))


class Standing(Enum):
    """Where a recipient stands, in a person's words."""

    WAITING = "waiting"  # for its time
    SCHEDULED = "scheduled"  # for the time its sender has chosen
    IN_LINE = "in-line"  # for its destination, which is down, busy or held
    IN_HAND = "in-hand"  # a worker is trying it at this moment
    HELD = "held"  # until somebody releases it
    ISOLATED = "isolated"  # workers died with it in hand
    ENDED = "ended"  # settled; a report or another recipient is left


# Held or isolated; in the line of a held destination `due_at` may be as far.
HELD_HERE = f"r.state = 'waiting' AND r.due_at >= {FAR} AND r.waits_for IS NULL"
NOT_HELD = f"r.state = 'waiting' AND (r.due_at < {FAR} OR r.waits_for IS NOT NULL)"
SCHEDULED_HERE = (
    "r.state = 'waiting' AND r.waits_for IS NULL AND r.attempts = 0 AND m.release_at > 0"
    " AND r.due_at = m.release_at"
)
# In SQL over m (queue_message) and r (queue_recipient). The first that is true counts.
_STANDING = {
    Standing.ENDED: "r.state NOT IN ('waiting', 'claimed')",
    Standing.IN_HAND: "r.state = 'claimed'",
    Standing.ISOLATED: f"{HELD_HERE} AND m.held = {int(Held.ISOLATED)}",
    Standing.HELD: f"{HELD_HERE} AND m.held <> {int(Held.ISOLATED)}",
    Standing.SCHEDULED: SCHEDULED_HERE,
    Standing.IN_LINE: "r.state = 'waiting' AND r.waits_for IS NOT NULL",
    Standing.WAITING: f"r.state = 'waiting' AND r.due_at < {FAR} AND r.waits_for IS NULL"
    f" AND NOT ({SCHEDULED_HERE})",
}
LOCAL = "r.via = 'local'"
_WANTS_REPORT = (
    f"m.reverse_path IS NOT NULL AND (r.notify IS NULL OR r.notify & {Notify.FAILURE.value} <> 0)"
)
# What a status looks like around its texts. A text that is part of it is compared without it.
_SKELETON = status_text(Status("", "", Reply(0, "", ("",)), "")).lower()
_MARKS = ('"remote":null', '"code":', '"text":', '"remote":', '"enhanced":', '"lines":', '"host":')
_quoted = msgspec.json.Encoder().encode


class BadSelection(ValueError):
    """A condition that means nothing; the text says what to write."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Conditions that all hold; "", None and () ask nothing. Ages in ms, sizes in octets."""

    ids: tuple[QueueId, ...] = ()
    about: str = ""  # an address, a domain or a next hop, wherever in it it stands
    sender: str = ""  # an address, a domain, or <>
    recipient: str = ""  # an address
    domain: str = ""  # of the recipient
    destinations: tuple[str, ...] = ()  # what it waits for: domains, next hops, keys of lines
    elsewhere: str = ""  # those that wait for this domain or next hop already are not meant
    older: int | None = None  # than, at `at`
    younger: int | None = None
    larger: int | None = None
    smaller: int | None = None
    standing: Standing | None = None
    status: str = ""  # "4.7.1", its beginning "4.7", or a reply code "450"
    text: str = ""  # somewhere in the last words, whatever the case of ASCII letters
    at: int = 0  # ms: mail accepted later is not meant; 0 means all

    def __post_init__(self) -> None:
        if self.text and not any(char.isalnum() for char in self.text):
            raise BadSelection("the text must have a letter or a digit")
        if self.status and not all(part.isdigit() for part in self.status.split(".")):
            raise BadSelection(
                'a status is a code such as "4.7.1" or "4.7", or a reply such as "450"'
            )

    @property
    def everything(self) -> bool:
        return replace(self, at=0) == Selection()

    @property
    def of_recipients(self) -> bool:
        """Whether it speaks of recipients: then only these of a message's recipients are meant."""
        return bool(
            self.about
            or self.recipient
            or self.domain
            or self.destinations
            or self.status
            or self.text
        ) or self.standing not in (None, Standing.ISOLATED)

    @property
    def last(self) -> int:
        """The greatest queue id that is meant."""
        if not self.at:
            return UNBOUNDED
        return last_queue_id(self.at)


def conditions(selection: Selection) -> tuple[str, list[Any]]:  # Any: what SQL binds
    """The selection as SQL over m and r with its arguments; "1 = 1" when it asks nothing."""
    parts: list[str] = []
    values: list[Any] = []

    def add(sql: str, *arguments: Any) -> None:
        parts.append(sql)
        values.extend(arguments)

    if selection.ids:
        add(f"m.queue_id IN ({_marks(selection.ids)})", *selection.ids)
    if selection.about:
        _about(add, selection.about)
    if selection.sender == NULL_SENDER:
        add("m.reverse_path IS NULL")
    elif selection.sender:
        _address(add, "m.reverse_path", selection.sender)
    if selection.recipient:
        _address(add, "r.forward_path", selection.recipient)
    if selection.domain:
        add("lower(r.forward_path) LIKE ? ESCAPE '\\'", f"%@{escaped(selection.domain)}")
    if selection.destinations:
        some = _marks(selection.destinations)
        add(
            f"(r.destination IN ({some}) OR r.waits_for IN ({some}))",
            *selection.destinations,
            *selection.destinations,
        )
    if selection.elsewhere:
        add("r.destination <> ?", selection.elsewhere)
    if selection.older is not None:
        add("m.accepted_at <= ?", selection.at - selection.older)
    if selection.younger is not None:
        add("m.accepted_at >= ?", selection.at - selection.younger)
    if selection.larger is not None:
        add("m.length >= ?", selection.larger)
    if selection.smaller is not None:
        add("m.length <= ?", selection.smaller)
    if selection.standing is not None:
        add(f"({_STANDING[selection.standing]})")
    if selection.status:
        add("r.status LIKE ? ESCAPE '\\'", _status_pattern(selection.status))
    if selection.text:
        _text(add, selection.text)
    return " AND ".join(parts) or "1 = 1", values


def _address(add: Any, column: str, text: str) -> None:  # Any: the closure of `conditions`
    if "@" in text.lstrip("@"):
        add(f"lower({column}) = ?", ascii_lower(text))
    else:
        add(f"lower({column}) LIKE ? ESCAPE '\\'", f"%@{escaped(text.lstrip('@'))}")


def _about(add: Any, text: str) -> None:  # Any: as above
    parts: list[str] = []
    values: list[str] = []

    def either(sql: str, *arguments: str) -> None:
        parts.append(sql)
        values.extend(arguments)

    _address(either, "m.reverse_path", text)
    _address(either, "r.forward_path", text)
    either("r.destination = ?", ascii_lower(text))
    either("r.waits_for = ?", ascii_lower(text))
    add(f"({' OR '.join(parts)})", *values)


def _status_pattern(text: str) -> str:
    if "." in text:
        return f'{{"code":"{text}"%' if text.count(".") == 2 else f'{{"code":"{text}.%'
    if len(text) == 1:
        return f'{{"code":"{text}.%'
    return f'%"remote":{{"code":{text},%'  # a quote inside a text has a backslash before it


def _text(add: Any, text: str) -> None:  # Any: as above
    needle = ascii_lower(_quoted(text).decode()[1:-1])
    pattern = f"%{escaped(needle)}%"
    add("lower(r.status) LIKE ? ESCAPE '\\'", pattern)
    if needle in _SKELETON or needle in "null":
        bare = "lower(r.status)"
        for mark in _MARKS:
            bare = f"replace({bare}, '{mark}', '')"
        add(f"{bare} LIKE ? ESCAPE '\\'", pattern)


def escaped(text: str) -> str:
    """For LIKE with ESCAPE '\\', in ASCII lower case: `lower` of SQLite knows no other letters."""
    return like.escaped(ascii_lower(text))


def ascii_lower(text: str) -> str:
    return "".join(chr(ord(char) + 32) if "A" <= char <= "Z" else char for char in text)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


# Walking and counting -----------------------------------------------------------------------------

_JOINED = "queue_message m JOIN queue_recipient r ON r.queue_id = m.queue_id"


@dataclass(frozen=True, slots=True)
class Count:
    """What a page of messages holds of a selection: recipients, where nothing else is said.

    A recipient is counted in `acted` when it is what was asked for; the others say why it may not be.
    """

    acted: int = 0
    messages: int = 0  # of those acted on
    reports: int = 0  # to their senders, if they ended now: one for each message
    octets: int = 0  # of their content, once for each recipient
    in_hand: int = 0
    in_line: int = 0
    held: int = 0  # or isolated
    local: int = 0  # they wait for a mailbox of ours
    free: int = 0  # waiting or in line: not held
    oldest: int | None = None  # ms, when the oldest of those acted on was accepted

    def __add__(self, other: Count) -> Count:
        return Count(
            self.acted + other.acted,
            self.messages + other.messages,
            self.reports + other.reports,
            self.octets + other.octets,
            self.in_hand + other.in_hand,
            self.in_line + other.in_line,
            self.held + other.held,
            self.local + other.local,
            self.free + other.free,
            min((at for at in (self.oldest, other.oldest) if at is not None), default=None),
        )


def page_end(selection: Selection, after: int) -> Steps[int | None]:
    """The last id of the page of messages that follows `after`; None when nothing follows."""
    rows = yield (
        "SELECT queue_id FROM queue_message WHERE queue_id > ? AND queue_id <= ?"
        " ORDER BY queue_id LIMIT 1 OFFSET ?",
        (after, selection.last, PAGE - 1),
    )
    if not rows:
        rows = yield (
            "SELECT MAX(queue_id) FROM queue_message WHERE queue_id > ? AND queue_id <= ?",
            (after, selection.last),
        )
    end: int | None = rows[0][0]
    return end


def count(selection: Selection, after: int, end: int, acts: str = "1 = 1") -> Steps[Count]:
    """What messages with ids in (after, end] hold of the selection. acts: SQL, what is acted on."""
    where, values = conditions(selection)
    numbers = ", ".join(
        f"COALESCE(SUM(CASE WHEN {condition} THEN 1 ELSE 0 END), 0)"
        for condition in (
            _STANDING[Standing.IN_HAND],
            _STANDING[Standing.IN_LINE],
            HELD_HERE,
            f"r.state = 'waiting' AND {LOCAL}",
            NOT_HELD,
        )
    )
    rows = yield (
        f"SELECT COALESCE(SUM(CASE WHEN {acts} THEN 1 ELSE 0 END), 0),"  # noqa: S608 - constants
        f" COUNT(DISTINCT CASE WHEN {acts} THEN m.queue_id END),"
        f" COUNT(DISTINCT CASE WHEN {acts} AND {_WANTS_REPORT} THEN m.queue_id END),"
        f" COALESCE(SUM(CASE WHEN {acts} THEN m.length ELSE 0 END), 0), {numbers},"
        f" MIN(CASE WHEN {acts} THEN m.accepted_at END)"
        f" FROM {_JOINED} WHERE m.queue_id > ? AND m.queue_id <= ? AND {where}",
        (after, end, *values),
    )
    acted, messages, reports, octets, in_hand, in_line, held, local, free, oldest = rows[0]
    return Count(acted, messages, reports, int(octets), in_hand, in_line, held, local, free, oldest)


def senders(
    selection: Selection, after: int, end: int, limit: int, acts: str
) -> Steps[list[tuple[str, int]]]:
    """Who would be told if those acted on ended now: (reverse-path, messages)."""
    where, values = conditions(selection)
    rows = yield (
        "SELECT m.reverse_path, COUNT(DISTINCT m.queue_id)"  # noqa: S608 - as above
        f" FROM {_JOINED} WHERE m.queue_id > ? AND m.queue_id <= ? AND {acts}"
        f" AND {_WANTS_REPORT} AND {where} GROUP BY m.reverse_path LIMIT ?",
        (after, end, *values, limit),
    )
    return [(path, number) for path, number in rows]


def lines(selection: Selection, after: int, end: int, limit: int) -> Steps[list[tuple[str, int]]]:
    """The destinations in whose lines recipients of the selection stand: (key, recipients)."""
    where, values = conditions(selection)
    rows = yield (
        "SELECT r.waits_for, COUNT(*)"  # noqa: S608 - as above
        f" FROM {_JOINED} WHERE m.queue_id > ? AND m.queue_id <= ?"
        f" AND {_STANDING[Standing.IN_LINE]} AND {where} GROUP BY r.waits_for LIMIT ?",
        (after, end, *values, limit),
    )
    return [(key, number) for key, number in rows]


def some(
    selection: Selection, after: Key, limit: int, columns: str, acts: str = "1 = 1"
) -> Steps[list[Row]]:
    """Rows of the selection beyond a key, in order of message and number: `columns` of m and r."""
    where, values = conditions(selection)
    queue_id, n = after
    return (
        yield (
            f"SELECT {columns} FROM {_JOINED}"  # noqa: S608 - as above
            " WHERE r.queue_id >= ? AND (r.queue_id > ? OR r.n > ?) AND r.queue_id <= ?"
            f" AND {acts} AND {where} ORDER BY r.queue_id, r.n LIMIT ?",
            (queue_id, queue_id, n, selection.last, *values, limit),
        )
    )


def among(
    selection: Selection, messages: Sequence[QueueId], columns: str, acts: str = "1 = 1"
) -> Steps[list[Row]]:
    """The same rows of some messages alone: those that are still meant when a batch is done."""
    where, values = conditions(selection)
    return (
        yield (
            f"SELECT {columns} FROM {_JOINED} WHERE r.queue_id IN ({_marks(messages)})"  # noqa: S608
            f" AND {acts} AND {where} ORDER BY r.queue_id, r.n",
            (*messages, *values),
        )
    )


def keys(selection: Selection, after: Key, limit: int, acts: str = "1 = 1") -> Steps[list[Key]]:
    """The next recipients that are meant."""
    rows = yield from some(selection, after, limit, "r.queue_id, r.n", acts)
    return [Key((QueueId(queue_id), n)) for queue_id, n in rows]
