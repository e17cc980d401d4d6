"""`postillon group`: addresses that lead to their members."""

from __future__ import annotations

import click

from postillon.admin import lists
from postillon.admin.lists import GroupView
from postillon.server.commands.common import Place, place_options, sure
from postillon.server.commands.tables import answer, facts, table


@click.group()
def group() -> None:
    """Addresses that lead to their members."""


@group.command("list")
@place_options
def list_(place: Place) -> None:
    """List all groups."""
    views = place.at_desk(lists.groups)
    columns = [
        ("Group", lambda view: view.address),
        ("Name", lambda view: view.name or None),
        ("Members", lambda view: len(view.members)),
        ("Enabled", lambda view: view.enabled),
    ]
    empty = "There is no group yet: postillon group add ADDRESS MEMBER"
    answer(place.as_json, views, lambda: table(views, columns, empty))


@group.command()
@click.argument("address")
@place_options
def show(place: Place, address: str) -> None:
    """Show one group with its members."""
    view = place.at_desk(lambda desk: lists.group(desk, address))
    answer(place.as_json, view, lambda: _facts(view))


@group.command()
@click.argument("address")
@click.argument("members", nargs=-1)
@click.option("--name", default="", help="Name of the group, for people.")
@place_options
def add(place: Place, address: str, members: tuple[str, ...], name: str) -> None:
    """Add a group with its first members."""
    view = place.at_desk(lambda desk: lists.create_group(desk, address, members, name))
    answer(place.as_json, view, lambda: f"added group\n{_facts(view)}")


@group.command("set")
@click.argument("address")
@click.option("--add", multiple=True, help="One more member.")
@click.option("--drop", multiple=True, help="A member to take out.")
@click.option("--name", help="Name of the group, for people.")
@click.option("--enable/--disable", "enabled", default=None, help="A disabled one takes no mail.")
@place_options
def set_(
    place: Place,
    address: str,
    add: tuple[str, ...],
    drop: tuple[str, ...],
    name: str | None,
    enabled: bool | None,
) -> None:
    """Change a group; what is not given stays as it is."""
    if not (add or drop) and name is None and enabled is None:
        raise click.UsageError("nothing to change was given")
    view = place.at_desk(
        lambda desk: lists.set_group(desk, address, add=add, drop=drop, name=name, enabled=enabled)
    )
    answer(place.as_json, view, lambda: f"changed group\n{_facts(view)}")


@group.command()
@click.argument("address")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def remove(place: Place, address: str, yes: bool) -> None:
    """Remove a group; its members stay."""
    sure(f"Remove the group {address}?", yes)
    gone = place.at_desk(lambda desk: lists.remove_group(desk, address))
    lines = [f"removed group {', '.join(gone.addresses)}"]
    lines += [f"removed alias {name}, which led nowhere else" for name in gone.aliases]
    answer(place.as_json, gone, lambda: "\n".join(lines))


def _facts(view: GroupView) -> str:
    return facts(
        [
            ("Group", view.address),
            ("Name", view.name or None),
            ("Enabled", view.enabled),
            ("Members", view.members),
        ]
    )
