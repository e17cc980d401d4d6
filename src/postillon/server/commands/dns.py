"""`postillon dns`: the records to publish for a domain."""

from __future__ import annotations

import click

from postillon.admin.desk import Desk
from postillon.admin.domains import show
from postillon.admin.records import records
from postillon.server.commands.common import Place, at_desk, place_options
from postillon.server.commands.tables import answer
from postillon.server.offered import offered


@click.command()
@click.argument("domain")
@place_options
def dns(place: Place, domain: str) -> None:
    """The DNS records to publish for a domain, as a zone file has them, and what each is good for."""
    config = place.configuration()

    async def work(desk: Desk) -> str:
        return (await show(desk, domain)).name

    name = at_desk(config, work)
    description = offered(config.listeners, config.server.hostname, config.autoconfig)
    found = records(name, config.server.hostname, description)
    answer(place.as_json, found, lambda: "\n".join(f"; {r.purpose}\n{r}" for r in found))
