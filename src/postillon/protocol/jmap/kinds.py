"""The types of JMAP's signatures, as functions that return the value or say what is wrong with it.

RFC 8620 section 1. A kind raises WrongType, whose text reads on after the name of the argument.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, TypeVar

T = TypeVar("T")
Kind = Callable[[Any], T]

MAX_INT = 2**53 - 1
_ID = re.compile(r"[A-Za-z0-9_-]{1,255}")
_UTC_DATE = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])T(?:[01]\d|2[0-3]):[0-5]\d:(?:[0-5]\d|60)"
    r"(?:\.\d{1,9})?Z"
)


class WrongType(ValueError):
    """A value that is not of the kind."""


def is_id(text: str) -> bool:
    """Whether a text can be an Id (section 1.2)."""
    return _ID.fullmatch(text) is not None


def identifier(value: Any) -> str:
    if not isinstance(value, str) or not is_id(value):
        raise WrongType("must be an Id")
    return value


def reference(value: Any) -> str:
    """An Id, or "#" and a creation id (section 5.3)."""
    if not isinstance(value, str) or not is_id(value.removeprefix("#")):
        raise WrongType("must be an Id or # and a creation id")
    return value


def string(value: Any) -> str:
    if not isinstance(value, str):
        raise WrongType("must be a String")
    return value


def boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise WrongType("must be a Boolean")
    return value


def integer(value: Any) -> int:
    if not _is_whole(value) or abs(value) > MAX_INT:
        raise WrongType("must be an Int")
    return int(value)


def unsigned(value: Any) -> int:
    if not _is_whole(value) or not 0 <= value <= MAX_INT:
        raise WrongType("must be an UnsignedInt")
    return int(value)


def utc_date(value: Any) -> str:
    """As it was written: "2026-11-25T12:00:00Z" (section 1.4).

    A fraction of zero should not be there, but every program in JavaScript writes it.
    """
    if not isinstance(value, str) or not _UTC_DATE.fullmatch(value):
        raise WrongType("must be a UTCDate such as 2026-11-25T12:00:00Z")
    return value


def record(value: Any) -> dict[str, Any]:
    """An object whose inside is looked at later."""
    if not isinstance(value, dict):
        raise WrongType("must be an object")
    return value


def optional(kind: Kind[T]) -> Kind[T | None]:
    def check(value: Any) -> T | None:
        return None if value is None else kind(value)

    return check


def list_of(kind: Kind[T]) -> Kind[list[T]]:
    def check(value: Any) -> list[T]:
        if not isinstance(value, list):
            raise WrongType("must be an array")
        try:
            return [kind(item) for item in value]
        except WrongType as error:
            raise WrongType(f"must be an array: each {error}") from None

    return check


def map_of(kind: Kind[T], key: Kind[str] = string) -> Kind[dict[str, T]]:
    def check(value: Any) -> dict[str, T]:
        if not isinstance(value, dict):
            raise WrongType("must be an object")
        try:
            return {key(name): kind(item) for name, item in value.items()}
        except WrongType as error:
            raise WrongType(f"must be an object: each {error}") from None

    return check


def one_of(values: Collection[str]) -> Kind[str]:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in values:
            raise WrongType(f"must be one of {', '.join(values)}")
        return value

    return check


def true_set(key: Kind[str] = string) -> Kind[frozenset[str]]:
    """An object whose values are all true, which stands for a set."""

    def check(value: Any) -> frozenset[str]:
        if not isinstance(value, dict) or any(item is not True for item in value.values()):
            raise WrongType("must be an object whose values are true")
        return frozenset(key(name) for name in value)

    return check


def _is_whole(value: Any) -> bool:
    """Whether it is a number without a fraction; 1.0 is one, true is none."""
    if isinstance(value, bool):
        return False
    return isinstance(value, int) or (isinstance(value, float) and value.is_integer())
