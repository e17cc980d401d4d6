"""`postillon trace`: what happened to a message, and why."""

from __future__ import annotations

import json
from collections.abc import Mapping

import click

from postillon.admin import tracing
from postillon.admin.tracing import Story
from postillon.queue.ids import format_queue_id
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, facts, visible, when

MOMENTS = {"next_try", "at_the_latest"}  # facts that are times
MESSAGES = {"about", "report"}  # facts that are queue ids


@click.command()
@click.argument("what", metavar="ID|ADDRESS|MESSAGE-ID")
@click.option("--limit", type=click.IntRange(1, 500), default=20, show_default=True)
@place_options
def trace(place: Place, what: str, limit: int) -> None:
    """Tell what happened to a message: where it came from, what was decided, where it went.

    With an address or a Message-ID: the latest messages that have it, newest first.
    """
    stories = place.at_desk(lambda desk: tracing.traces(desk, what, limit))
    answer(place.as_json, stories, lambda: "\n\n".join(map(_text, stories)))


def _text(story: Story) -> str:
    head = facts(
        [
            ("Message", story.id),
            ("Accepted", when(story.at)),
            ("From", story.reverse_path or "<>"),
            ("To", story.forward_paths),
            ("Message-ID", story.message_id or None),
            *((name, _fact(name, value)) for name, value in story.facts.items()),
        ]
    )
    events = [f"{when(item.at)}  {item.kind:<10} {_line(item.facts)}" for item in story.events]
    return "\n".join([head, *(visible(event.rstrip()) for event in events)])


def _line(found: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name.replace('_', ' ')} {_fact(name, value)}" for name, value in found.items()
    )


def _fact(name: str, value: object) -> object:
    if isinstance(value, int) and name in MOMENTS:
        return when(value)
    if isinstance(value, int) and name in MESSAGES:
        return format_queue_id(value)
    return _value(value)


def _value(value: object) -> object:
    """Text as it is, lists and tables below each other, what is deeper as JSON."""
    if isinstance(value, list):
        return tuple(_value(item) for item in value)
    if isinstance(value, dict):
        if any(isinstance(item, list) for item in value.values()):
            return tuple(f"{name}: {_flat(item)}" for name, item in value.items())
        return _line(value)
    return value


def _flat(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(map(_flat, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)
