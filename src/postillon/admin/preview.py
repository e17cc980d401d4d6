"""What a verb would do, found out without changing anything: counts, senders, lines, a sample.

The queue is counted in bounded pages, so that neither a read transaction nor memory grows with it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from postillon.admin.desk import Desk
from postillon.admin.queue_views import Line, line_of, words
from postillon.admin.units import format_duration, format_size
from postillon.queue import destinations, overview, selection
from postillon.queue.ids import accepted_at, format_queue_id
from postillon.queue.rows import read_status
from postillon.queue.selection import FIRST, NULL_SENDER, Count, Selection
from postillon.queue.verbs import Order, Verb
from postillon.store.operation import Row, Steps

SAMPLE = 10  # recipients a preview shows
MAX_SENDERS = 1_000  # different ones a preview tells apart
TOP_SENDERS = 5  # of these are named
MAX_LINES = 100  # destinations that are probed or named
_SAMPLED = (
    "r.queue_id, m.reverse_path, r.forward_path, r.destination, m.length + length(m.prefix),"
    " r.status"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Somebody who would be told. reports: one for each of their messages."""

    address: str
    reports: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """One of those that are meant. Times in ms, sizes in octets."""

    id: str
    sender: str  # "" is the null sender
    recipient: str
    destination: str
    accepted_at: int
    size: int
    words: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a verb will do. Counts are of recipients where nothing else is said."""

    verb: Verb
    what: str  # the selection in words, "" for all
    destination: str  # held, released or probed as a whole; "" where single recipients are meant
    recipients: int
    messages: int
    octets: int  # of their content
    oldest: int | None  # ms
    in_hand: int  # being tried at this moment
    follows: bool  # whether it is done to those too when they come back
    in_line: int  # their destination is down, busy or held
    held: int
    local: int  # they wait for a mailbox of this server
    lines: tuple[Line, ...]  # the destinations of those in line
    reports: int  # that the senders will get
    senders: tuple[Sender, ...]  # who get most of them
    more_senders: int | None  # beside these; None: more than could be told apart
    sample: tuple[Sampled, ...]
    via: str = ""  # reroute: where to

    @property
    def nothing(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.recipients or self.destination or self.probed)

    @property
    def probed(self) -> tuple[Line, ...]:
        """The destinations that `retry` probes at once, for those that stand in their lines."""
        if self.verb is not Verb.RETRY:
            return ()
        return tuple(line for line in self.lines if line.down_since is not None and not line.held)


async def preview(desk: Desk, order: Order, destination: str, whole: bool, rows: bool) -> Preview:
    meant, acts = order.selection, order.acts
    total = await count_of(desk, order)
    senders, more = await _senders(desk, order) if order.verb in _REPORT else ((), 0)
    lines = await _lines(desk, order) if total.in_line else ()
    rows_shown = await desk.store.query(selection.some(meant, FIRST, SAMPLE, _SAMPLED, acts))
    return Preview(
        verb=order.verb,
        what=phrase(meant, destination),
        destination=destination if whole else "",
        recipients=total.acted if rows else 0,
        messages=total.messages,
        octets=total.octets,
        oldest=total.oldest,
        in_hand=total.in_hand,
        follows=order.verb in (Verb.HOLD, Verb.RELEASE) and rows and not meant.of_recipients,
        in_line=total.in_line,
        held=total.held,
        local=total.local,
        lines=lines,
        reports=total.reports if order.verb in _REPORT else 0,
        senders=senders,
        more_senders=more,
        sample=tuple(map(_sampled, rows_shown)),
    )


def _sampled(row: Row) -> Sampled:
    """From _SAMPLED."""
    queue_id, sender, recipient, destination, size, status = row
    return Sampled(
        id=format_queue_id(queue_id),
        sender=sender or "",
        recipient=recipient,
        destination=destination,
        accepted_at=accepted_at(queue_id),
        size=size,
        words=words(read_status(status)),
    )


def phrase(meant: Selection, destination: str = "") -> str:
    """A selection in words: "from ada@example.org, older than 3d"; "" when all mail is meant."""
    ids = ", ".join(map(format_queue_id, meant.ids[:3]))
    said = f'whose last answer says "{meant.text}"'
    found = [
        (meant.ids, f"with {ids}" + (" …" if len(meant.ids) > 3 else "")),
        (meant.about, f"about {meant.about}"),
        (meant.sender, f"from {meant.sender}"),
        (meant.recipient, f"to {meant.recipient}"),
        (meant.domain, f"to anybody at {meant.domain}"),
        (destination, f"waiting for {destination}"),
        (meant.older, f"older than {_age(meant.older)}"),
        (meant.younger, f"younger than {_age(meant.younger)}"),
        (meant.larger, f"of at least {format_size(meant.larger or 0)}"),
        (meant.smaller, f"of at most {format_size(meant.smaller or 0)}"),
        (meant.standing, f"in state {meant.standing.value if meant.standing else ''}"),
        (meant.status, f"whose last answer was {meant.status}"),
        (meant.text, said),
    ]
    return ", ".join(words for given, words in found if given not in (None, "", ()))


def _age(ms: int | None) -> str:
    return format_duration(timedelta(milliseconds=ms or 0))


_REPORT = (Verb.EXPIRE, Verb.BOUNCE)


async def count_of(desk: Desk, order: Order) -> Count:
    """What the order finds in all pages of the queue."""
    meant, total, after = order.selection, Count(), 0
    while (end := await desk.store.query(selection.page_end(meant, after))) is not None:
        total += await desk.store.query(selection.count(meant, after, end, order.acts))
        after = end
    return total


async def _tally(
    desk: Desk,
    meant: Selection,
    page: Callable[[int, int], Steps[list[tuple[str, int]]]],
    most: int,
) -> Counter[str]:
    """Names and numbers of all pages, until there are more than `most` names."""
    found: Counter[str] = Counter()
    after = 0
    while (end := await desk.store.query(selection.page_end(meant, after))) is not None:
        for name, number in await desk.store.query(page(after, end)):
            found[name] += number
        if len(found) > most:
            break
        after = end
    return found


async def _senders(desk: Desk, order: Order) -> tuple[tuple[Sender, ...], int | None]:
    """Who get most reports, and how many others there are."""
    meant = order.selection
    found = await _tally(
        desk,
        meant,
        lambda after, end: selection.senders(meant, after, end, MAX_SENDERS + 1, order.acts),
        MAX_SENDERS,
    )
    top = tuple(
        Sender(address=path or NULL_SENDER, reports=number)
        for path, number in found.most_common(TOP_SENDERS)
    )
    return top, None if len(found) > MAX_SENDERS else len(found) - len(top)


async def _lines(desk: Desk, order: Order) -> tuple[Line, ...]:
    meant = order.selection
    found = await _tally(
        desk, meant, lambda after, end: selection.lines(meant, after, end, MAX_LINES), MAX_LINES
    )
    lines = []
    for key, number in found.most_common(MAX_LINES):
        row = await desk.store.query(destinations.get(key))
        domains = await desk.store.query(overview.domains_of(key))
        lines.append(line_of(key, row, domains, number))
    return tuple(lines)
