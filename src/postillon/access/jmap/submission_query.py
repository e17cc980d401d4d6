"""Which submissions match a filter, in which order (RFC 8621 section 7.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.filtering import Test, test_of
from postillon.mail.dates import parse_moment
from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.standard import Comparator, Filter
from postillon.queue.submissions import CANCELED, FINAL, PENDING, Sent

_KEYS: dict[str, Callable[[Sent], Any]] = {
    "emailId": lambda item: names.name(names.EMAIL, item.email),
    "threadId": lambda item: names.name(names.THREAD, item.thread),
    "sentAt": lambda item: item.send_at,
    "sendAt": lambda item: item.send_at,  # as the object calls it; the RFC's list says sentAt
}


def matching(every: Sequence[Sent], wanted: Filter | None, sort: Sequence[Comparator]) -> list[str]:
    """Their ids. Raises MethodError: invalidArguments, unsupportedFilter or unsupportedSort."""
    found = sorted(filter(test_of(wanted, _condition), every), key=lambda item: item.id)
    for level in reversed(sort):
        key = _KEYS.get(level.property)
        if key is None:
            raise MethodError("unsupportedSort", f"there is no order by {level.property}")
        found.sort(key=key, reverse=not level.ascending)
    return [names.name(names.SUBMISSION, item.id) for item in found]


def _condition(name: str, value: Any) -> Test[Sent]:
    match name:
        case "identityIds" | "emailIds" | "threadIds":
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise invalid_arguments(f"{name} is an array of ids", ["filter"])
            letter, of = {
                "identityIds": (names.IDENTITY, "identity"),
                "emailIds": (names.EMAIL, "email"),
                "threadIds": (names.THREAD, "thread"),
            }[name]
            numbers = {names.number(letter, one) for one in value}
            return lambda item: getattr(item, of) in numbers
        case "undoStatus":
            if value not in (PENDING, FINAL, CANCELED):
                raise invalid_arguments("undoStatus is pending, final or canceled", ["filter"])
            return lambda item: item.undo == value
        case "before" | "after":
            at = parse_moment(value) if isinstance(value, str) else None
            if at is None:
                raise invalid_arguments(f"{name} is a UTCDate", ["filter"])
            if name == "before":
                return lambda item: item.send_at < at
            return lambda item: item.send_at >= at
    raise MethodError("unsupportedFilter", f"there is no condition {name}")
