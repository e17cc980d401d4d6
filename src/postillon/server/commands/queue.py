"""`postillon queue`: what waits, why, and what to do about it."""

from __future__ import annotations

import click

from postillon.admin import ordering, queueing
from postillon.admin.desk import Desk
from postillon.admin.preview import phrase
from postillon.admin.queue_views import Page
from postillon.clock import system_clock
from postillon.server.commands import queue_text
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.filters import Meant, filter_options
from postillon.server.commands.queue_verbs import VERBS
from postillon.server.commands.tables import answer
from postillon.server.data_folder import runs


class QueueGroup(click.Group):
    """Without a further word it gives the overview, with the options of it."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = ["overview", *args]
        return super().parse_args(ctx, args)


@click.group(cls=QueueGroup)
def queue() -> None:
    """Mail that waits or travels. Alone, it gives the overview.

    \b
    Look:   postillon queue                      what waits, what is wrong, what to do
            postillon queue destinations         every destination with its state
            postillon queue list [FILTER]...     messages, oldest first
            postillon queue show ID              one message: its forecast and its tries
    Act:    postillon queue VERB ID | FILTER...  says what it will do, and asks
    """


@queue.command()
@place_options
def overview(place: Place) -> None:
    """What waits, which destinations are down, what is held, and what to do next."""
    now = system_clock()
    config = place.configuration()
    found = place.at_desk(lambda desk: queueing.look(desk, config.queue, now))
    running = runs(config.server.data)
    answer(place.as_json, found, lambda: queue_text.overview(found, running))


@queue.command()
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@place_options
def destinations(place: Place, limit: int) -> None:
    """Every destination mail waits for: its servers, whether they answer, their last words."""
    now = system_clock()
    found, number = place.at_desk(lambda desk: queueing.queues(desk, limit))
    answer(place.as_json, found, lambda: queue_text.destinations(found, number, now))


@queue.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=100, show_default=True)
@place_options
@filter_options(about=True)
def list_(place: Place, meant: Meant, limit: int) -> None:
    """List recipients that wait, oldest first.

    In place of an ID stands also an address, a domain or a next hop: whatever has to do with it.
    """
    now = system_clock()
    config = place.configuration()

    async def read(desk: Desk) -> Page:
        selection = await ordering.with_destination(desk, meant.selection, meant.destination)
        return await queueing.listing(desk, config.queue, selection, limit)

    page = place.at_desk(read)
    what = phrase(meant.selection, meant.destination)
    answer(place.as_json, page.messages, lambda: queue_text.listing(page, what, now))


@queue.command()
@click.argument("queue_id", metavar="ID")
@place_options
def show(place: Place, queue_id: str) -> None:
    """Show one message: what each recipient waits for, until when, and all tries."""
    now = system_clock()
    config = place.configuration()
    story = place.at_desk(lambda desk: queueing.show(desk, config.queue, queue_id))
    answer(place.as_json, story, lambda: queue_text.story(story, now))


for verb in VERBS:
    queue.add_command(verb)
