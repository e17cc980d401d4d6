"""Reading the queue for an administrator: the overview, destinations, lists, one message."""

from __future__ import annotations

import heapq

from postillon.admin.desk import Desk
from postillon.admin.errors import NotThere, Refused
from postillon.admin.queue_views import (
    Overview,
    Page,
    Queued,
    QueuedStory,
    QueueView,
    Try,
    alert_of,
    overview_of,
    queue_view,
    queued,
    words,
)
from postillon.queue import overview, selection, watching
from postillon.queue.config import QueueConfig
from postillon.queue.ids import QueueId, parse_queue_id
from postillon.queue.overview import Queue, Tally
from postillon.queue.rows import read_status
from postillon.queue.selection import Count, Selection, Standing

SHOWN = 20  # destinations and messages an overview shows
MAX_TROUBLED = 10_000  # destinations of which something is known that are looked through


async def look(desk: Desk, config: QueueConfig, now: int) -> Overview:
    """The overview. now: ms."""
    depth = await desk.store.query(overview.depth(now))
    found, number = await _queues(desk, SHOWN)
    held: list[Queued] = []
    if depth.held:
        for standing in (Standing.ISOLATED, Standing.HELD):
            meant = Selection(standing=standing, at=now)
            some = await desk.store.query(overview.listing(meant, limit=SHOWN - len(held)))
            held += [queued(item, config) for item in some]
    known = await desk.store.query(watching.alerts())
    alerts = [alert_of(item) for item in known if item.ended_at is None]
    return overview_of(now, depth, found, number, held, alerts)


async def queues(desk: Desk, limit: int) -> tuple[list[QueueView], int]:
    """Destinations with what waits for them, the longest first, and how many there are."""
    found, number = await _queues(desk, limit)
    return [queue_view(item) for item in found], number


async def _queues(desk: Desk, limit: int) -> tuple[list[Queue], int]:
    """As `queues`; those that are down or held come too when nothing waits for them, at the end."""
    tally: dict[str, Tally] = {}
    after = 0
    while (end := await desk.store.query(selection.page_end(Selection(), after))) is not None:
        for item in await desk.store.query(overview.tally(after, end)):
            known = tally.get(item.name)
            tally[item.name] = item if known is None else known + item
        after = end
    longest = heapq.nsmallest(limit, tally.values(), key=lambda item: (-item.recipients, item.name))
    found = await desk.store.query(overview.described(longest))
    others = await desk.store.query(overview.troubled(tally, MAX_TROUBLED))
    return [*found, *others[: limit - len(found)]], len(tally) + len(others)


async def listing(desk: Desk, config: QueueConfig, meant: Selection, limit: int = 100) -> Page:
    """Oldest first, at most `limit` recipients."""
    found = await desk.store.query(overview.listing(meant, limit=limit))
    total = Count()
    after = 0
    while (end := await desk.store.query(selection.page_end(meant, after))) is not None:
        total += await desk.store.query(selection.count(meant, after, end))
        after = end
    return Page(
        messages=tuple(queued(item, config) for item in found),
        recipients_in_all=total.acted,
        messages_in_all=total.messages,
    )


async def show(desk: Desk, config: QueueConfig, text: str) -> QueuedStory:
    """Raises Refused."""
    queue_id = read_id(text)
    found = await desk.store.query(overview.show(queue_id))
    if found is None:
        raise NotThere(
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
    return QueuedStory(message=queued(listed, config), attempts=tuple(tries))


def read_id(text: str) -> QueueId:
    """Raises Refused."""
    try:
        return parse_queue_id(text)
    except ValueError as error:
        raise Refused(f"{text!r}: {error}", "ids stand in: postillon queue list") from None
