"""`postillon domain`: the domains whose mail this server answers for."""

from __future__ import annotations

from typing import Any

import click

from postillon.admin import domains
from postillon.admin.domains import DomainChange, DomainView
from postillon.server.commands.common import Place, place_options, sure
from postillon.server.commands.tables import answer, facts, table, when


@click.group()
def domain() -> None:
    """Domains whose mail this server answers for."""


def change_options(function: Any) -> Any:  # Any: as click's decorators
    for option in (
        click.option("--next-hop", help="Where a split domain's mail goes, e.g. smtp://old:25."),
        click.option(
            "--split/--no-split",
            default=None,
            help="Addresses that are unknown here travel on to the next hop.",
        ),
        click.option("--catch-all", help='Who gets mail to unknown addresses; "" nobody.'),
        click.option(
            "--separator", help='What parts sub-addresses, usually "+"; "" turns them off.'
        ),
    ):
        function = option(function)
    return function


@domain.command("list")
@place_options
def list_(place: Place) -> None:
    """List all domains."""
    views = place.at_desk(domains.every)
    answer(place.as_json, views, lambda: _table(views))


@domain.command()
@click.argument("name")
@place_options
def show(place: Place, name: str) -> None:
    """Show one domain."""
    view = place.at_desk(lambda desk: domains.show(desk, name))
    answer(place.as_json, view, lambda: _facts(view))


@domain.command()
@click.argument("name")
@change_options
@place_options
def add(place: Place, name: str, **options: Any) -> None:
    """Add a domain."""
    view = place.at_desk(lambda desk: domains.create(desk, name, DomainChange(**options)))
    answer(place.as_json, view, lambda: f"added domain {view.name}\n{_facts(view)}")


@domain.command("set")
@click.argument("name")
@click.option("--enable/--disable", "enabled", default=None, help="A disabled one takes no mail.")
@change_options
@place_options
def set_(place: Place, name: str, **options: Any) -> None:
    """Change a domain; what is not given stays as it is."""
    if all(value is None for value in options.values()):
        raise click.UsageError("nothing to change was given")
    view = place.at_desk(lambda desk: domains.change(desk, name, DomainChange(**options)))
    answer(place.as_json, view, lambda: f"changed domain {view.name}\n{_facts(view)}")


@domain.command()
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def remove(place: Place, name: str, yes: bool) -> None:
    """Remove a domain in which nothing has an address any more."""
    sure(f"Remove the domain {name}?", yes)
    place.at_desk(lambda desk: domains.remove(desk, name))
    answer(place.as_json, {"removed": name}, lambda: f"removed domain {name}")


def _table(views: list[DomainView]) -> str:
    return table(
        views,
        [
            ("Domain", lambda view: view.unicode),
            ("Accounts", lambda view: view.accounts),
            ("Aliases", lambda view: view.aliases),
            ("Groups", lambda view: view.groups),
            ("Catch-all", lambda view: view.catch_all),
            ("Next hop", lambda view: view.next_hop),
            ("Enabled", lambda view: view.enabled),
        ],
        "There is no domain yet: postillon domain add NAME",
    )


def _facts(view: DomainView) -> str:
    return facts(
        [
            ("Domain", view.unicode),
            *([("In DNS", view.name)] if view.unicode != view.name else []),
            ("Enabled", view.enabled),
            ("Sub-addresses", f"ada{view.separator}detail" if view.separator else "none"),
            ("Catch-all", view.catch_all),
            ("Split", view.split),
            ("Next hop", view.next_hop or ("by DNS" if view.split else None)),
            ("Accounts", view.accounts),
            ("Aliases", view.aliases),
            ("Groups", view.groups),
            ("Since", when(view.created_at)),
        ]
    )
