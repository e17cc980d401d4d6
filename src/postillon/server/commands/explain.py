"""`postillon explain`: every step of a routing decision, with nothing sent."""

from __future__ import annotations

import click

from postillon.admin.desk import Desk
from postillon.admin.routing import Route
from postillon.admin.routing import explain as explain_route
from postillon.net.resolver import Resolver
from postillon.server.commands.common import REFUSED, Place, at_desk, place_options
from postillon.server.commands.tables import answer, visible


@click.command()
@click.argument("sender", metavar="FROM")
@click.argument("recipient", metavar="TO")
@place_options
def explain(place: Place, sender: str, recipient: str) -> None:
    """Explain how a message would travel, step by step; nothing is sent.

    FROM decides what is allowed: an account's address may send to anybody, "<>" and strangers only
    to this server. Exit code 0 when the message would be taken and has somewhere to go, else 1.
    """
    config = place.configuration()

    async def work(desk: Desk) -> Route:
        return await explain_route(
            desk,
            config.route,
            config.server.hostname,
            Resolver(config.resolver),
            sender,
            recipient,
        )

    route = at_desk(config, work)
    answer(place.as_json, route, lambda: _text(route))
    if not route.deliverable:
        raise click.exceptions.Exit(REFUSED)


def _text(route: Route) -> str:
    steps = [f"{n:>3}. {visible(step)}" for n, step in enumerate(route.steps, 1)]
    return "\n".join([*steps, *(f"  => {visible(end)}" for end in route.ends)])
