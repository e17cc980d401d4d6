"""`postillon alias`: addresses that lead to other addresses, ours or anybody's."""

from __future__ import annotations

import click

from postillon.admin import lists
from postillon.admin.lists import AliasView
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, facts, table


@click.group()
def alias() -> None:
    """Addresses that lead to other addresses."""


@alias.command("list")
@click.argument("domain", required=False)
@place_options
def list_(place: Place, domain: str | None) -> None:
    """List the aliases of a domain, or all."""
    views = place.at_desk(lambda desk: lists.aliases(desk, domain))
    columns = [
        ("Alias", lambda view: view.address),
        ("Leads to", lambda view: view.targets),
    ]
    empty = "There is no alias here yet: postillon alias add ADDRESS TARGET"
    answer(place.as_json, views, lambda: table(views, columns, empty))


@alias.command()
@click.argument("address")
@place_options
def show(place: Place, address: str) -> None:
    """Show one alias."""
    view = place.at_desk(lambda desk: lists.alias(desk, address))
    answer(place.as_json, view, lambda: _facts(view))


@alias.command()
@click.argument("address")
@click.argument("targets", nargs=-1, required=True)
@place_options
def add(place: Place, address: str, targets: tuple[str, ...]) -> None:
    """Add an alias that leads to one or more addresses; "@example.org" is the catch-all."""
    view = place.at_desk(lambda desk: lists.create_alias(desk, address, targets))
    answer(place.as_json, view, lambda: f"added alias\n{_facts(view)}")


@alias.command("set")
@click.argument("address")
@click.option("--add", multiple=True, help="One more target.")
@click.option("--drop", multiple=True, help="A target to take away.")
@place_options
def set_(place: Place, address: str, add: tuple[str, ...], drop: tuple[str, ...]) -> None:
    """Change where an alias leads."""
    if not (add or drop):
        raise click.UsageError("nothing to change was given")
    view = place.at_desk(lambda desk: lists.set_alias(desk, address, add=add, drop=drop))
    answer(place.as_json, view, lambda: f"changed alias\n{_facts(view)}")


@alias.command()
@click.argument("address")
@place_options
def remove(place: Place, address: str) -> None:
    """Remove an alias, and the aliases that led only to it."""
    gone = place.at_desk(lambda desk: lists.remove_alias(desk, address))
    lines = [f"removed alias {', '.join(gone.addresses)}"]
    lines += [f"removed alias {name}, which led nowhere else" for name in gone.aliases]
    answer(place.as_json, gone, lambda: "\n".join(lines))


def _facts(view: AliasView) -> str:
    return facts([("Alias", view.address), ("Leads to", view.targets)])
