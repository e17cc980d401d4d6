"""The stories of messages, for an administrator who asks what became of one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from postillon.admin.desk import Desk
from postillon.admin.errors import NotThere
from postillon.queue import trace
from postillon.queue.ids import format_queue_id, parse_queue_id


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened after acceptance."""

    at: int  # ms
    kind: str
    facts: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A message from the connection it came by to where it went."""

    id: str
    at: int  # ms
    reverse_path: str  # "" is the null sender
    forward_paths: tuple[str, ...]
    message_id: str
    facts: Mapping[str, object]
    events: tuple[Event, ...]


async def traces(desk: Desk, text: str, limit: int = 20) -> list[Story]:
    """The story of a queue id, or the latest messages of an address or Message-ID, newest first.

    Raises Refused if there is none.
    """
    try:
        queue_id = parse_queue_id(text)
    except ValueError:
        pass
    else:
        found = await desk.store.query(trace.find(queue_id))
        if found is not None:
            return [_story(found)]
    matches = await desk.store.read_apart(trace.search(text, limit))
    whole = [await desk.store.query(trace.find(item.queue_id)) for item in matches]
    stories = [_story(item) for item in whole if item is not None]
    if not stories:
        hint = "give a queue id, an address or a Message-ID; traces are kept for [queue] trace_days"
        raise NotThere(f"there is no trace of {text}", hint)
    return stories


def _story(found: trace.Trace) -> Story:
    return Story(
        id=format_queue_id(found.queue_id),
        at=found.at,
        reverse_path=found.reverse_path,
        forward_paths=found.forward_paths,
        message_id=found.message_id,
        facts=found.facts,
        events=tuple(Event(at=item.at, kind=item.kind, facts=item.facts) for item in found.events),
    )
