"""`postillon verify`: rows, counters and message octets proved against each other."""

from __future__ import annotations

import click

from postillon.server.commands.common import REFUSED, Place, at_database, place_options
from postillon.server.commands.tables import answer, table, visible
from postillon.store.verify import verify as verify_store


@click.command()
@click.option("--quick", is_flag=True, help="Rows and counters only; do not read the messages.")
@place_options
def verify(place: Place, quick: bool) -> None:
    """Prove rows, counters and message octets against each other; nothing is changed.

    The server may run meanwhile. Exit code 0 when all is sound, 1 when something is not.
    """
    config = place.configuration()
    findings = at_database(config, lambda store: verify_store(store, octets=not quick))
    columns = [
        ("Kind", lambda finding: finding.kind),
        ("Where", lambda finding: visible(finding.where)),
        ("Problem", lambda finding: visible(finding.problem)),
    ]
    sound = f"{config.server.data}: all is sound"
    answer(place.as_json, findings, lambda: table(findings, columns, sound))
    if findings:
        raise click.exceptions.Exit(REFUSED)
