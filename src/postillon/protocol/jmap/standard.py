"""The standard methods: their arguments, read strictly, and their responses (RFC 8620 section 5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.kinds import (
    Kind,
    WrongType,
    boolean,
    identifier,
    integer,
    list_of,
    map_of,
    optional,
    record,
    reference,
    string,
    unsigned,
)
from postillon.protocol.jmap.request import Limits

T = TypeVar("T")
_MISSING = object()
More = Mapping[str, tuple[Kind[Any], Any]]  # further arguments of a method: kind and default


class Arguments:
    """Takes the arguments of a call one by one; what is left over at the end is wrong."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self._left = dict(given)

    def take(self, name: str, kind: Kind[T], default: Any = _MISSING) -> T:
        """Raises MethodError invalidArguments."""
        value = self._left.pop(name, _MISSING)
        if value is _MISSING:
            if default is _MISSING:
                raise invalid_arguments(f"{name} is missing", [name])
            return default  # type: ignore[no-any-return]
        try:
            return kind(value)
        except WrongType as error:
            raise invalid_arguments(f"{name} {error}", [name]) from None

    def more(self, wanted: More) -> dict[str, Any]:
        return {name: self.take(name, kind, default) for name, (kind, default) in wanted.items()}

    def end(self) -> None:
        if self._left:
            names = sorted(self._left)
            raise invalid_arguments(f"there is no argument {', '.join(names)}", names)


def account_of(arguments: Mapping[str, Any]) -> str:
    """The accountId alone, before the rest is read. Raises MethodError."""
    value = arguments.get("accountId")
    if not isinstance(value, str):
        what = "must be an Id" if "accountId" in arguments else "is missing"
        raise invalid_arguments(f"accountId {what}", ["accountId"])
    return value


@dataclass(frozen=True, slots=True)
class GetArguments:
    """ids: None for all. properties: None for all. Section 5.1."""

    account_id: str
    ids: list[str] | None
    properties: list[str] | None
    more: dict[str, Any]

    @classmethod
    def parse(cls, given: Mapping[str, Any], limits: Limits, more: More | None = None) -> Self:
        """Raises MethodError: invalidArguments or requestTooLarge."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("accountId", identifier),
            arguments.take("ids", optional(list_of(reference)), None),
            arguments.take("properties", optional(list_of(string)), None),
            arguments.more(more or {}),
        )
        arguments.end()
        if found.ids is not None and len(found.ids) > limits.max_objects_in_get:
            raise MethodError("requestTooLarge", f"at most {limits.max_objects_in_get} ids")
        return found


@dataclass(frozen=True, slots=True)
class ChangesArguments:
    """Section 5.2."""

    account_id: str
    since_state: str
    max_changes: int | None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Self:
        """Raises MethodError."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("accountId", identifier),
            arguments.take("sinceState", string),
            arguments.take("maxChanges", optional(unsigned), None),
        )
        arguments.end()
        _check_most(found.max_changes)
        return found


@dataclass(frozen=True, slots=True)
class SetArguments:
    """Section 5.3. create: by creation id. update: patches by id."""

    account_id: str
    if_in_state: str | None
    create: dict[str, dict[str, Any]]
    update: dict[str, dict[str, Any]]
    destroy: list[str]
    more: dict[str, Any]

    @classmethod
    def parse(cls, given: Mapping[str, Any], limits: Limits, more: More | None = None) -> Self:
        """Raises MethodError: invalidArguments or requestTooLarge."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("accountId", identifier),
            arguments.take("ifInState", optional(string), None),
            _given(arguments.take("create", optional(map_of(record, identifier)), None), {}),
            _given(arguments.take("update", optional(map_of(record, reference)), None), {}),
            _given(arguments.take("destroy", optional(list_of(reference)), None), []),
            arguments.more(more or {}),
        )
        arguments.end()
        _check_number(len(found.create) + len(found.update) + len(found.destroy), limits)
        return found


@dataclass(frozen=True, slots=True)
class CopyArguments:
    """Section 5.4."""

    from_account_id: str
    if_from_in_state: str | None
    account_id: str
    if_in_state: str | None
    create: dict[str, dict[str, Any]]
    on_success_destroy_original: bool
    destroy_from_if_in_state: str | None

    @classmethod
    def parse(cls, given: Mapping[str, Any], limits: Limits) -> Self:
        """Raises MethodError."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("fromAccountId", identifier),
            arguments.take("ifFromInState", optional(string), None),
            arguments.take("accountId", identifier),
            arguments.take("ifInState", optional(string), None),
            arguments.take("create", map_of(record, identifier)),
            arguments.take("onSuccessDestroyOriginal", boolean, False),
            arguments.take("destroyFromIfInState", optional(string), None),
        )
        arguments.end()
        _check_number(len(found.create), limits)
        if found.account_id == found.from_account_id:
            raise invalid_arguments("both accounts are the same", ["accountId", "fromAccountId"])
        return found


@dataclass(frozen=True, slots=True)
class Comparator:
    """One level of a sort (section 5.5). more: what the property brings with it, such as keyword."""

    property: str
    ascending: bool
    collation: str | None
    more: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Operator:
    """AND, OR or NOT of filters."""

    operator: str
    conditions: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Condition:
    """What the type of data knows by itself; all its properties must hold."""

    properties: dict[str, Any]


Filter = Operator | Condition
MAX_CONDITIONS = 100  # of one filter; ours
MAX_FILTER_DEPTH = 10  # ours
MAX_COMPARATORS = 10  # ours


@dataclass(frozen=True, slots=True)
class QueryArguments:
    """Section 5.5."""

    account_id: str
    filter: Filter | None
    sort: tuple[Comparator, ...]
    position: int
    anchor: str | None
    anchor_offset: int
    limit: int | None
    calculate_total: bool
    more: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, given: Mapping[str, Any], more: More | None = None) -> Self:
        """Raises MethodError: invalidArguments, unsupportedFilter or unsupportedSort."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("accountId", identifier),
            filter_of(arguments.take("filter", optional(record), None)),
            sort_of(arguments.take("sort", optional(list_of(record)), None)),
            arguments.take("position", integer, 0),
            arguments.take("anchor", optional(identifier), None),
            arguments.take("anchorOffset", integer, 0),
            arguments.take("limit", optional(unsigned), None),
            arguments.take("calculateTotal", boolean, False),
            arguments.more(more or {}),
        )
        arguments.end()
        return found


@dataclass(frozen=True, slots=True)
class QueryChangesArguments:
    """Section 5.6."""

    account_id: str
    filter: Filter | None
    sort: tuple[Comparator, ...]
    since_query_state: str
    max_changes: int | None
    up_to_id: str | None
    calculate_total: bool
    more: dict[str, Any]

    @classmethod
    def parse(cls, given: Mapping[str, Any], more: More | None = None) -> Self:
        """Raises MethodError."""
        arguments = Arguments(given)
        found = cls(
            arguments.take("accountId", identifier),
            filter_of(arguments.take("filter", optional(record), None)),
            sort_of(arguments.take("sort", optional(list_of(record)), None)),
            arguments.take("sinceQueryState", string),
            arguments.take("maxChanges", optional(unsigned), None),
            arguments.take("upToId", optional(identifier), None),
            arguments.take("calculateTotal", boolean, False),
            arguments.more(more or {}),
        )
        arguments.end()
        return found


def filter_of(value: dict[str, Any] | None) -> Filter | None:
    """Raises MethodError: invalidArguments, or unsupportedFilter for one beyond our bounds."""
    if value is None:
        return None
    found, number = _filter(value, MAX_FILTER_DEPTH)
    if number > MAX_CONDITIONS:
        raise MethodError("unsupportedFilter", f"at most {MAX_CONDITIONS} conditions")
    return found


def _filter(value: Any, depth: int) -> tuple[Filter, int]:
    if not isinstance(value, dict):
        raise invalid_arguments("each condition of a filter must be an object", ["filter"])
    if "operator" not in value:
        return Condition(value), 1
    if depth == 0:
        raise MethodError("unsupportedFilter", f"at most {MAX_FILTER_DEPTH} levels")
    kind, inner = value["operator"], value.get("conditions")
    if kind not in ("AND", "OR", "NOT") or not isinstance(inner, list) or len(value) != 2:
        what = "a filter operator has an operator AND, OR or NOT, and conditions"
        raise invalid_arguments(what, ["filter"])
    parts = [_filter(item, depth - 1) for item in inner]
    return Operator(kind, tuple(part for part, _ in parts)), 1 + sum(n for _, n in parts)


def sort_of(value: list[dict[str, Any]] | None) -> tuple[Comparator, ...]:
    """Raises MethodError: invalidArguments, or unsupportedSort for one beyond our bounds."""
    if value is None:
        return ()
    if len(value) > MAX_COMPARATORS:
        raise MethodError("unsupportedSort", f"at most {MAX_COMPARATORS} comparators")
    return tuple(map(_comparator, value))


def _comparator(value: Mapping[str, Any]) -> Comparator:
    arguments = Arguments(value)
    try:
        found = Comparator(
            arguments.take("property", string),
            arguments.take("isAscending", boolean, True),
            arguments.take("collation", optional(string), None),
            # Clients send null for what another property would bring with it.
            {n: item for n, item in value.items() if n not in _COMPARATOR and item is not None},
        )
    except MethodError as error:
        raise invalid_arguments(f"sort: {error.description}", ["sort"]) from None
    return found


_COMPARATOR = ("property", "isAscending", "collation")


def window(
    ids: Sequence[str],
    position: int,
    anchor: str | None,
    anchor_offset: int,
    limit: int | None,
) -> tuple[int, Sequence[str]]:
    """The index of the first result that is returned, and the results (section 5.5).

    Raises MethodError anchorNotFound.
    """
    if anchor is not None:
        try:
            start = max(0, ids.index(anchor) + anchor_offset)
        except ValueError:
            raise MethodError("anchorNotFound") from None
    else:
        start = position if position >= 0 else max(0, len(ids) + position)
    stop = None if limit is None else start + limit
    return start, ids[start:stop]


def query_response(
    wanted: QueryArguments, state: str, ids: Sequence[str], *, can_calculate: bool
) -> dict[str, Any]:
    """ids: all results in their order. Raises MethodError anchorNotFound (section 5.5)."""
    start, shown = window(ids, wanted.position, wanted.anchor, wanted.anchor_offset, wanted.limit)
    answer = {
        "accountId": wanted.account_id,
        "queryState": state,
        "canCalculateChanges": can_calculate,
        "position": start,
        "ids": list(shown),
    }
    return {**answer, "total": len(ids)} if wanted.calculate_total else answer


def get_response(
    account_id: str, state: str, found: Sequence[Mapping[str, Any]], not_found: Sequence[str]
) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "state": state,
        "list": list(found),
        "notFound": list(not_found),
    }


def changes_response(
    account_id: str,
    old_state: str,
    new_state: str,
    *,
    created: Sequence[str] = (),
    updated: Sequence[str] = (),
    destroyed: Sequence[str] = (),
    has_more: bool = False,
) -> dict[str, Any]:
    return {
        "accountId": account_id,
        "oldState": old_state,
        "newState": new_state,
        "hasMoreChanges": has_more,
        "created": list(created),
        "updated": list(updated),
        "destroyed": list(destroyed),
    }


def _given(value: T | None, otherwise: T) -> T:
    return otherwise if value is None else value


def _check_number(number: int, limits: Limits) -> None:
    if number > limits.max_objects_in_set:
        raise MethodError("requestTooLarge", f"at most {limits.max_objects_in_set} objects")


def _check_most(most: int | None) -> None:
    if most == 0:
        raise invalid_arguments("maxChanges must be greater than 0", ["maxChanges"])
