"""`postillon limits`: what is allowed at most, and how much of it is in use."""

from __future__ import annotations

from datetime import timedelta

import click

from postillon.admin.units import format_duration, format_size
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, table
from postillon.server.limits import NEAR, Limits, LimitView, Unit, limits_of


@click.command()
@place_options
def limits(place: Place) -> None:
    """Show the limits that hold, each with its setting, and what is in use of it in all workers."""
    config = place.configuration()
    found = place.at_desk(lambda desk: limits_of(desk, config, desk.credentials.clock()))
    answer(place.as_json, found, lambda: _text(found))


def _text(found: Limits) -> str:
    parts = [
        table(
            found.limits,
            [
                ("Setting", lambda one: one.setting),
                ("Value", _value),
                ("In use", lambda one: None if one.used is None else f"{one.used} of {one.of}"),
                ("What for", lambda one: one.purpose),
            ],
            "",
        ),
        table(
            found.connections,
            [
                ("Connections", lambda one: one.protocol),
                ("A minute ago", lambda one: one.open),
                ("Most in a day", lambda one: one.peak),
            ],
            "No connections were counted in the last day.",
        ),
        table(
            found.full,
            [
                ("Nearly full", lambda one: one.login),
                ("Used", lambda one: f"{format_size(one.used)} of {format_size(one.quota)}"),
            ],
            f"No account has used more than {NEAR} % of its quota.",
        ),
    ]
    return "\n\n".join(parts)


def _value(one: LimitView) -> str:
    if one.unit is Unit.OCTETS:
        return format_size(int(one.value))
    if one.unit is Unit.SECONDS:
        return format_duration(timedelta(seconds=one.value))
    return f"{one.value:g}"
