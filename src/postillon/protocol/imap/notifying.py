"""The grammar of NOTIFY (RFC 5465 section 8)."""

from __future__ import annotations

from postillon.protocol.imap import fetching, searching
from postillon.protocol.imap.commands import Event, EventGroup, FetchItem, Notify, Scope
from postillon.protocol.imap.words import Reader, Refused

MAX_GROUPS = 100  # of one NOTIFY; ours

_NAMES = {event.value.upper(): event for event in Event}
_BOTH = frozenset((Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE))
_OF_MESSAGES = _BOTH | {Event.FLAG_CHANGE}
_SELECTED = (Scope.SELECTED, Scope.SELECTED_DELAYED)
# AnnotationChange needs ANNOTATE (RFC 5257), which is not offered.
_BAD_EVENT = f"BADEVENT ({' '.join(event.value for event in Event)})"


def notify(reader: Reader) -> Notify:
    """Everything after the verb."""
    reader.need(b" ")
    kind = reader.keyword()
    if kind == "NONE":
        return Notify()
    if kind != "SET":
        raise Refused("Expected SET or NONE")
    reader.need(b" ")
    status = False
    if not reader.text.startswith(b"(", reader.position):
        if reader.keyword() != "STATUS":
            raise Refused("Expected STATUS or a group of events")
        status = True
        reader.need(b" ")
    groups = [_group(reader)]
    while reader.skip(b" ") and not reader.at_end():
        if len(groups) >= MAX_GROUPS:
            raise Refused("Too many groups", "NO", "NOTIFICATIONOVERFLOW")
        groups.append(_group(reader))
    if sum(group.source.scope in _SELECTED for group in groups) > 1:
        raise Refused("The selected mailbox can be named once")  # section 6.1
    return Notify(status, tuple(groups))


def _group(reader: Reader) -> EventGroup:
    reader.need(b"(")
    source = searching.source(reader, delayed=True)
    reader.need(b" ")
    if not reader.text.startswith(b"(", reader.position):
        if reader.keyword() != "NONE":
            raise Refused("Expected events or NONE")
        reader.need(b")")
        return EventGroup(source, frozenset())
    items: tuple[FetchItem, ...] = ()

    def event() -> Event:
        nonlocal items
        name = reader.keyword()
        found = _NAMES.get(name)
        if found is None:
            raise Refused("There is no such event here", "NO", _BAD_EVENT)
        if found is Event.MESSAGE_NEW and reader.text.startswith(b" (", reader.position):
            reader.need(b" ")
            items = fetching.items(reader)
        return found

    events = frozenset(reader.list_of(event))
    reader.need(b")")
    _check(source.scope in _SELECTED, events, bool(items))
    return EventGroup(source, events, items)


def _check(selected: bool, events: frozenset[Event], has_items: bool) -> None:
    """Section 5: which events go together, and section 6.1: which the selected mailbox has."""
    if events & _OF_MESSAGES and not events >= _BOTH:
        raise Refused("MessageNew and MessageExpunge belong together")
    if selected and not events <= _OF_MESSAGES:
        raise Refused("The selected mailbox has only events of messages")
    if has_items and not selected:
        raise Refused("What to fetch is for the selected mailbox alone")
