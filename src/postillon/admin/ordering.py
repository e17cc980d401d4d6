"""Verbs on waiting mail as an administrator gives them: first what would be done, then doing it.

A preview counts in bounded pages and changes nothing. Doing goes batch by batch, each durable before
the next one begins, and tells how far it is. Mail that arrives after the preview is not touched; only
a destination that is held stays so for mail that comes later.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from postillon.admin import audit
from postillon.admin.desk import Desk
from postillon.admin.errors import NotThere, Refused
from postillon.admin.preview import Preview, count_of, preview
from postillon.queue import destinations, overview, spool, verbs
from postillon.queue.ids import format_queue_id
from postillon.queue.selection import FIRST, Count, Selection
from postillon.queue.verbs import Done, Order, Verb
from postillon.route.config import RouteConfig
from postillon.route.hop import BY_MX, HopError, parse_next_hop
from postillon.route.routes import Routes
from postillon.store.operation import Steps

Progress = Callable[[Done], None]


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
    what: str = ""  # the selection in words


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
    routes = Routes(route or RouteConfig())
    whole = destination and meant == Selection(at=meant.at)
    keys: list[tuple[str, tuple[str, ...]]] = []
    known: list[destinations.Destination] = []
    if destination:
        names, known = await desk.store.query(_resolve(destination))
        meant = replace(meant, destinations=names)
        if whole:
            keys = _keys_for(verb, names[0], known)
    targets = _targets(via, routes) if verb is Verb.REROUTE else None
    if verb is Verb.REROUTE and via and via != BY_MX:
        meant = replace(meant, elsewhere=str(parse_next_hop(via)))
    order = Order(verb=verb, selection=meant, who=who, text=text, via=targets)
    rows = not (keys and verb in (Verb.HOLD, Verb.RELEASE))
    found = await preview(desk, order, destination, bool(keys), rows)
    found = replace(found, via=via)
    if destination and not known and not (found.messages or found.in_hand):
        _routed(destination, routes)
    if verb is Verb.RETRY and not whole:
        keys = [(line.key, ()) for line in found.probed]
    return found, Prepared(order, tuple(keys), rows, found.what)


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
    left = await count_of(desk, order) if prepared.rows else Count()
    facts = {
        "what": prepared.what,
        "text": order.text,
        "recipients": recipients,
        "messages": messages,
    }
    told = {name: value for name, value in facts.items() if value}
    await audit.note(desk, f"queue.{order.verb.value}", ", ".join(touched), told)
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
            raise NotThere(
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


def _routed(name: str, routes: Routes) -> None:
    """Raises Refused for a domain that nothing waits for, because its mail has a fixed next hop."""
    domain = name.strip().lower()
    hop = routes.destination(domain)
    if hop != domain and ":" not in domain:  # which is a next hop itself
        raise NotThere(
            f"no mail waits for {domain}: by the configuration its mail waits for {hop}",
            f"the next hop: --destination {hop}; the mail: --domain {domain}",
        )


def _targets(via: str, routes: Routes) -> Callable[[str], str]:
    """From a recipient's domain to where its mail is to go. Raises Refused."""
    if not via:
        return routes.destination
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
