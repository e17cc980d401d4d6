"""Verbs on waiting mail as an administrator gives them: first what would be done, then doing it.

A preview counts in bounded pages and changes nothing. Doing goes batch by batch, each durable before
the next one begins, and tells how far it is. Mail that arrives after the preview is not touched; only
a destination that is held stays so for mail that comes later.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from postillon.admin.desk import Desk
from postillon.admin.errors import Refused
from postillon.admin.queueing import Line, line_of, sender_text, words
from postillon.admin.units import format_duration, format_size
from postillon.queue import destinations, overview, selection, spool, verbs
from postillon.queue.ids import accepted_at, format_queue_id
from postillon.queue.rows import read_status
from postillon.queue.selection import FIRST, Count, Selection
from postillon.queue.verbs import Done, Order, Verb
from postillon.route.config import RouteConfig
from postillon.route.hop import BY_MX, HopError, parse_next_hop
from postillon.route.routes import Routes
from postillon.store.operation import Row, Steps

SAMPLE = 10  # recipients a preview shows
MAX_SENDERS = 1_000  # different ones a preview tells apart
TOP_SENDERS = 5  # of these are named
MAX_LINES = 100  # destinations that are probed or named
_SAMPLED = (
    "r.queue_id, m.reverse_path, r.forward_path, r.destination, m.length + length(m.prefix),"
    " r.status"
)

Progress = Callable[[Done], None]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a verb did."""

    verb: Verb
    recipients: int
    messages: int
    following: int  # in hand: their message is held, or is no more, when they come back
    in_hand: int  # left alone: they were being tried
    destinations: tuple[str, ...]  # held, released, or probed at once


@dataclass(frozen=True, slots=True)
class Prepared:
    """An order that has been previewed. `keys`: destinations it is for as a whole, with their hosts."""

    order: Order
    keys: tuple[tuple[str, tuple[str, ...]], ...]
    rows: bool  # whether recipients are touched one by one


async def prepare(
    desk: Desk,
    verb: Verb,
    meant: Selection,
    *,
    destination: str = "",
    who: str = "",
    text: str = "",
    via: str = "",
    route: RouteConfig | None = None,
) -> tuple[Preview, Prepared]:
    """Find out what a verb would do. Raises Refused.

    destination: as a person calls it; alone, it means the destination as a whole for hold, release
    and retry. via: for reroute, a next hop, "mx", or "" for what the configuration says.
    """
    await _find(desk, meant)
    whole = destination and meant == Selection(at=meant.at)
    keys: list[tuple[str, tuple[str, ...]]] = []
    if destination:
        names, found = await desk.store.query(_resolve(destination))
        meant = replace(meant, destinations=names)
        if whole:
            keys = _keys_for(verb, names[0], found)
    targets = _targets(via, route or RouteConfig()) if verb is Verb.REROUTE else None
    if verb is Verb.REROUTE and via and via != BY_MX:
        meant = replace(meant, elsewhere=str(parse_next_hop(via)))
    order = Order(verb=verb, selection=meant, who=who, text=text, via=targets)
    rows = not (keys and verb in (Verb.HOLD, Verb.RELEASE))
    preview = await _preview(desk, order, destination, bool(keys), rows)
    preview = replace(preview, via=via)
    if verb is Verb.RETRY and not whole:
        keys = [(line.key, ()) for line in preview.probed]
    return preview, Prepared(order, tuple(keys), rows)


async def with_destination(desk: Desk, meant: Selection, name: str) -> Selection:
    """The selection narrowed to a destination as a person calls it; as it is where name is ""."""
    if not name:
        return meant
    names, _ = await desk.store.query(_resolve(name))
    return replace(meant, destinations=names)


async def perform(
    desk: Desk, prepared: Prepared, progress: Progress = lambda done: None
) -> Summary:
    """Do it, batch by batch. progress: called after each one; what it has told is durable."""
    order = prepared.order
    touched = await _to_destinations(desk, order.verb, prepared.keys)
    recipients = messages = following = 0
    after = FIRST
    while prepared.rows:
        done = await verbs.next_batch(desk.store, order, after)
        if done is None:
            break
        after = done.last
        recipients += done.recipients
        messages += done.messages
        following += done.following
        progress(done)
    left = await _count(desk, order) if prepared.rows else Count()
    return Summary(
        verb=order.verb,
        recipients=recipients,
        messages=messages,
        following=following,
        in_hand=max(0, left.in_hand - following),
        destinations=touched,
    )


async def _to_destinations(
    desk: Desk, verb: Verb, keys: tuple[tuple[str, tuple[str, ...]], ...]
) -> tuple[str, ...]:
    touched = []
    for key, hosts in keys:
        if verb is Verb.HOLD:
            await desk.store.write(destinations.hold(key, hosts))
            touched.append(key)
        elif verb is Verb.RELEASE:
            if await desk.store.write(destinations.release(key)):
                touched.append(key)
        elif await desk.store.write(destinations.probe_now(key)):
            touched.append(key)
    return tuple(touched)


async def _find(desk: Desk, meant: Selection) -> None:
    """Raises Refused for an id that names no message."""
    for queue_id in meant.ids:
        if await desk.store.query(spool.ref_of(queue_id)) is None:
            name = format_queue_id(queue_id)
            raise Refused(
                f"there is no message {name} in the queue", f"its story: postillon trace {name}"
            )


# Destinations by the names people use ---------------------------------------------------------------


def _resolve(name: str) -> Steps[tuple[tuple[str, ...], list[destinations.Destination]]]:
    """What rows may call it (the usual spelling first), and the destinations that are known of it."""
    written = name.strip().lower()
    try:
        hop = str(parse_next_hop(name))
    except HopError:
        hop = written
    keys = dict.fromkeys((yield from overview.keys_of(written)))
    keys |= dict.fromkeys((yield from overview.keys_of(hop)))
    known, named = [], []
    for key in keys:
        row = yield from destinations.get(key)
        if row is not None:
            known.append(row)
            if {written, hop} & {row.key, *row.hosts}:
                named.append(row)
    literal = any(written in (row.key, *row.hosts) for row in named)
    usual = hop if ":" in written and not literal else written
    names = dict.fromkeys((usual, written, hop))
    for row in named:
        names[row.key] = None
        names |= dict.fromkeys((yield from overview.domains_of(row.key)))
    return tuple(names), known


def _keys_for(
    verb: Verb, name: str, known: list[destinations.Destination]
) -> list[tuple[str, tuple[str, ...]]]:
    """The rows a verb for a whole destination changes; none where it means single recipients."""
    named = [(row.key, row.hosts) for row in known if name in (row.key, *row.hosts)]
    if verb is Verb.HOLD:
        return named or [(name, (name,))]
    if verb is Verb.RELEASE:
        return [(row.key, row.hosts) for row in known if row.held]
    if verb is Verb.RETRY:
        return [(row.key, row.hosts) for row in known if row.down and not row.held]
    return []


def _targets(via: str, route: RouteConfig) -> Callable[[str], str]:
    """From a recipient's domain to where its mail is to go. Raises Refused."""
    if not via:
        return Routes(route).destination
    if via == BY_MX:
        return lambda domain: domain
    try:
        hop = str(parse_next_hop(via))
    except HopError as error:
        hint = (
            'write for example "backup.example.net", "192.0.2.1:2525" or "smtps://mx.example.net"'
        )
        raise Refused(str(error), hint) from None
    return lambda domain: hop


# Previews -----------------------------------------------------------------------------------------


async def _preview(desk: Desk, order: Order, destination: str, whole: bool, rows: bool) -> Preview:
    meant, acts = order.selection, order.acts
    total = await _count(desk, order)
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


async def _count(desk: Desk, order: Order) -> Count:
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
        Sender(address=sender_text(path), reports=number)
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
