"""Changes of one object as a set of pointers and new values (RFC 8620 section 5.3)."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from postillon.protocol.jmap.errors import SetError
from postillon.protocol.jmap.references import token_of


def apply(value: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A changed copy. Pointers begin without a slash; null removes. Raises SetError invalidPatch."""
    paths = [path_of(pointer) for pointer in changes]
    _check_apart(paths)
    found: dict[str, Any] = dict(value)
    copied: set[str] = set()
    for path, new in zip(paths, changes.values(), strict=True):
        if len(path) > 1 and path[0] not in copied and path[0] in found:
            found[path[0]] = copy.deepcopy(found[path[0]])  # the original stays as it is
            copied.add(path[0])
        _set(found, path, new)
    return found


def path_of(pointer: str) -> tuple[str, ...]:
    return tuple(token_of(part) for part in pointer.split("/"))


def _check_apart(paths: list[tuple[str, ...]]) -> None:
    """No pointer may be the beginning of another one."""
    ordered = sorted(paths)
    for one, other in pairwise(ordered):
        if other[: len(one)] == one:
            raise SetError("invalidPatch", f"{'/'.join(one)} and {'/'.join(other)} meet")


def _set(found: dict[str, Any], path: tuple[str, ...], new: Any) -> None:
    place: Any = found
    for token in path[:-1]:
        if not isinstance(place, dict) or token not in place:
            # What is inside an array cannot be patched, and what is not there has no inside.
            raise SetError("invalidPatch", f"{'/'.join(path)} leads nowhere")
        place = place[token]
    if not isinstance(place, dict):
        raise SetError("invalidPatch", f"{'/'.join(path)} leads nowhere")
    if new is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = new
