"""Filters of what is held in memory: AND, OR and NOT around the conditions of a type of data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from postillon.protocol.jmap.standard import Condition, Filter

T = TypeVar("T")
Test = Callable[[T], bool]


def test_of(wanted: Filter | None, condition: Callable[[str, Any], Test[T]]) -> Test[T]:
    """What tells whether an object matches. condition: by name and value of one property.

    Raises what `condition` raises, whichever objects there are.
    """
    if wanted is None:
        return lambda item: True
    if isinstance(wanted, Condition):
        return _all([condition(name, value) for name, value in wanted.properties.items()])
    parts = [test_of(part, condition) for part in wanted.conditions]
    match wanted.operator:
        case "AND":
            return _all(parts)
        case "OR":
            return lambda item: any(part(item) for part in parts)
    return lambda item: not any(part(item) for part in parts)


def _all(parts: Sequence[Test[T]]) -> Test[T]:
    return lambda item: all(part(item) for part in parts)
