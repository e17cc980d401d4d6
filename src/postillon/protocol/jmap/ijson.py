"""JSON as JMAP takes it: I-JSON, where every text has one meaning (RFC 7493, RFC 8620 section 1.8)."""

from __future__ import annotations

import json
import math
import re
from typing import Any

MAX_DEPTH = 64  # of arrays and objects in each other; ours
# Code points that must not be in a text (RFC 7493 section 2.1), as they stand or as escapes.
_FORBIDDEN = re.compile(
    "[\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane << 16 | 0xFFFE)}{chr(plane << 16 | 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_ESCAPED = re.compile(r"\\u(?:[dD][89a-fA-F]|[fF][dDfF])")  # that may be one of these


class NotIJson(ValueError):
    """Octets that are no I-JSON. The text says why."""


def decode(octets: bytes) -> Any:  # Any: whatever JSON knows
    """Raises NotIJson: for what is no JSON or no UTF-8, a name that stands twice in one object,
    surrogates and noncharacters, numbers that are none, and what is nested too deeply."""
    try:
        text = octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise NotIJson(f"octet {error.start} is not UTF-8") from None
    try:
        value = _DECODER.decode(text)
    except NotIJson:
        raise
    except RecursionError:
        raise NotIJson(f"more than {MAX_DEPTH} levels") from None
    except ValueError as error:
        raise NotIJson(str(error)) from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value, MAX_DEPTH)
    if _ESCAPED.search(text) or (not text.isascii() and _FORBIDDEN.search(text)):
        _check_texts(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise NotIJson(f"{twice[:100]!r} stands twice in one object")
    return found


def _no_number(text: str) -> Any:
    raise NotIJson(f"{text} is no number")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value):
        raise NotIJson(f"{text[:100]} is too large")
    return value


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_no_number, parse_float=_float, strict=True
)


def _check_depth(value: Any, left: int) -> None:
    if not isinstance(value, (dict, list)):
        return
    if left == 0:
        raise NotIJson(f"more than {MAX_DEPTH} levels")
    for inner in value.values() if isinstance(value, dict) else value:
        _check_depth(inner, left - 1)


def _check_texts(value: Any) -> None:
    if isinstance(value, str):
        if _FORBIDDEN.search(value):
            raise NotIJson("a text has a surrogate alone, or a code point that is no character")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _check_texts(name)
            _check_texts(inner)
    elif isinstance(value, list):
        for inner in value:
            _check_texts(inner)
