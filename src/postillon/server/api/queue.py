"""The queue: what waits and why, and the verbs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.admin import ordering, queueing
from postillon.admin.errors import Refused
from postillon.admin.ordering import Summary
from postillon.admin.preview import Preview
from postillon.admin.queue_views import Overview, Page, QueuedStory, QueueView
from postillon.admin.units import UnitError, parse_duration
from postillon.queue.selection import BadSelection, Selection, Standing
from postillon.queue.verbs import Verb
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, Number, Scope, operation


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueOrder:
    """A verb, and whom it is for: all conditions that are given hold together.

    ids: of messages. sender, recipient, domain, destination, status, text: as the command line has
    them. older, younger: ages such as "3d" or "90m". larger, smaller: octets. all: everything in the
    queue, where nothing else is given. dry_run: only say what would be done. words: told to the
    senders by bounce. via: for reroute, a next hop or "mx"; "" is what the configuration says.
    """

    verb: Verb
    ids: tuple[str, ...] = ()
    sender: str = ""
    recipient: str = ""
    domain: str = ""
    destination: str = ""
    older: str = ""
    younger: str = ""
    larger: Number | None = None
    smaller: Number | None = None
    state: Standing | None = None
    status: str = ""
    text: str = ""
    all: bool = False
    dry_run: bool = False
    words: str = ""
    via: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """done: None where nothing was to be done, or nothing should."""

    preview: Preview
    done: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destinations:
    """The longest first, then those that are down or held with nothing waiting."""

    destinations: list[QueueView]
    number: int  # in all


@operation("GET", "/queue")
async def get_queue(office: Office) -> Overview:
    """What waits, which destinations are down, what is held, which alerts go on."""
    return await queueing.look(office.desk, office.config.queue, office.clock())


@operation("GET", "/queue/destinations")
async def list_destinations(office: Office, *, limit: Limit = 100) -> Destinations:
    """Every destination mail waits for: its servers, whether they answer, their last words."""
    found, number = await queueing.queues(office.desk, limit)
    return Destinations(destinations=found, number=number)


@operation("GET", "/queue/messages")
async def list_queued(
    office: Office,
    *,
    about: str = "",
    ids: tuple[str, ...] = (),
    sender: str = "",
    recipient: str = "",
    domain: str = "",
    destination: str = "",
    older: str = "",
    younger: str = "",
    larger: Number | None = None,
    smaller: Number | None = None,
    state: Standing | None = None,
    status: str = "",
    text: str = "",
    limit: Limit = 100,
) -> Page:
    """Messages that wait, oldest first. `about` is an address, a domain or a next hop, anywhere."""
    order = QueueOrder(
        verb=Verb.HOLD, ids=ids, sender=sender, recipient=recipient, domain=domain,
        destination=destination, older=older, younger=younger, larger=larger, smaller=smaller,
        state=state, status=status, text=text,
    )  # fmt: skip
    meant = _selection(order, office.clock(), about)
    meant = await ordering.with_destination(office.desk, meant, destination)
    return await queueing.listing(office.desk, office.config.queue, meant, limit)


@operation("GET", "/queue/messages/{id}")
async def get_queued(office: Office, *, id: str) -> QueuedStory:
    """One message: what each recipient waits for, until when, and all tries."""
    return await queueing.show(office.desk, office.config.queue, id)


@operation("POST", "/queue/orders", Scope.WRITE)
async def order_queue(office: Office, *, body: QueueOrder) -> Outcome:
    """Hold, release, retry, reroute, expire, bounce or drop mail; `dry_run` only says what.

    `hold`, `release` and `retry` with a destination alone mean the destination itself.
    """
    meant = _selection(body, office.clock())
    nothing = meant.everything and not body.destination
    if nothing != body.all:
        raise Refused(
            "no mail is named" if nothing else "all goes with no other choice",
            "give ids, a condition such as destination, or all: true",
        )
    if body.via and body.verb is not Verb.REROUTE:
        raise Refused("via is for reroute only")
    if body.words and body.verb is not Verb.BOUNCE:
        raise Refused("words are for bounce only")
    preview, prepared = await ordering.prepare(
        office.desk, body.verb, meant, destination=body.destination, who=office.desk.who,
        text=body.words, via=body.via, route=office.config.route,
    )  # fmt: skip
    if body.dry_run or preview.nothing:
        return Outcome(preview=preview, done=None)
    return Outcome(preview=preview, done=await ordering.perform(office.desk, prepared))


def _selection(order: QueueOrder, now: int, about: str = "") -> Selection:
    """Raises Refused."""
    try:
        return Selection(
            ids=tuple(map(queueing.read_id, order.ids)),
            about=about,
            sender=order.sender,
            recipient=order.recipient,
            domain=order.domain,
            older=_age(order.older),
            younger=_age(order.younger),
            larger=order.larger,
            smaller=order.smaller,
            standing=order.state,
            status=order.status,
            text=order.text,
            at=now,
        )
    except (BadSelection, UnitError) as error:
        raise Refused(str(error)) from None


def _age(text: str) -> int | None:
    return parse_duration(text) // timedelta(milliseconds=1) if text else None
