"""Mailbox/query and /queryChanges (RFC 8621 sections 2.3 and 2.4)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context
from postillon.access.jmap.mail import changes_of, open_objects, point_of, state_of
from postillon.access.jmap.sorting import key_of
from postillon.account.objects import MailboxObject
from postillon.mail.folding import fold
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.kinds import boolean
from postillon.protocol.jmap.standard import Condition, Filter

MORE: standard.More = {"sortAsTree": (boolean, False), "filterAsTree": (boolean, False)}
Check = Callable[[MailboxObject], bool]


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments, MORE)
    objects = await open_objects(context, wanted.account_id)
    found, state = await objects.every_mailbox()
    ids = _results(found, wanted.filter, wanted.sort, wanted.more)
    return standard.query_response(wanted, state_of(state), ids, can_calculate=True)


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """Where the tree matters, one that moves takes others along: then all are told anew."""
    wanted = standard.QueryChangesArguments.parse(arguments, MORE)
    objects = await open_objects(context, wanted.account_id)
    found, state = await objects.every_mailbox()
    ids = _results(found, wanted.filter, wanted.sort, wanted.more)
    since = point_of(wanted.since_query_state, state.epoch)
    changed = await changes_of(objects.mailbox_changes, since, None)
    if changed.more:
        raise MethodError("cannotCalculateChanges")
    touched: set[str] = set()
    if changed.created or changed.destroyed or not changed.counts_only:
        numbers = {*changed.created, *changed.updated, *changed.destroyed}
        if any(wanted.more.values()):
            numbers |= {item.mailbox.id for item in found}
        touched = {names.name(names.MAILBOX, number) for number in numbers}
    added = [{"id": one, "index": n} for n, one in enumerate(ids) if one in touched]
    if wanted.max_changes is not None and len(touched) + len(added) > wanted.max_changes:
        raise MethodError("tooManyChanges")
    answer = {
        "accountId": wanted.account_id,
        "oldQueryState": wanted.since_query_state,
        "newQueryState": state_of(state),
        "removed": sorted(touched),
        "added": added,
    }
    return {**answer, "total": len(ids)} if wanted.calculate_total else answer


def _results(
    found: Sequence[MailboxObject],
    condition: Filter | None,
    sort: Sequence[standard.Comparator],
    more: dict[str, Any],
) -> list[str]:
    check = _check(condition) if condition is not None else lambda item: True
    matching = {item.mailbox.id for item in found if check(item)}
    ordered = list(found)
    for comparator in reversed(sort):
        ordered.sort(key=_key(comparator), reverse=not comparator.ascending)
    parents: dict[int, int] = {item.mailbox.id: item.mailbox.parent for item in found}
    if more["filterAsTree"]:  # section 2.3: not below one that does not match
        for item in found:  # parents come first
            above = item.mailbox.parent
            if above in parents and above not in matching:
                matching.discard(item.mailbox.id)
    if more["sortAsTree"]:
        ordered = _as_tree(ordered, parents)
    return [
        names.name(names.MAILBOX, item.mailbox.id)
        for item in ordered
        if item.mailbox.id in matching
    ]


def _as_tree(ordered: list[MailboxObject], parents: dict[int, int]) -> list[MailboxObject]:
    """Each behind its parent, siblings in the order they have."""
    children: dict[int, list[MailboxObject]] = {}
    for item in ordered:
        above: int = item.mailbox.parent
        children.setdefault(above if above in parents else 0, []).append(item)
    found: list[MailboxObject] = []
    stack = list(reversed(children.get(0, [])))
    while stack:
        item = stack.pop()
        found.append(item)
        stack.extend(reversed(children.get(item.mailbox.id, [])))
    return found


def _key(comparator: standard.Comparator) -> Callable[[MailboxObject], Any]:
    by_text = key_of(comparator.collation)
    if comparator.property == "name":
        return lambda item: by_text(item.mailbox.name)
    if comparator.property == "sortOrder":
        return lambda item: item.position
    raise MethodError("unsupportedSort", f"not by {comparator.property}")


def _check(condition: Filter) -> Check:
    if isinstance(condition, Condition):
        checks = [_condition(name, value) for name, value in condition.properties.items()]
        return lambda item: all(check(item) for check in checks)
    inner = [_check(one) for one in condition.conditions]
    if condition.operator == "AND":
        return lambda item: all(check(item) for check in inner)
    if condition.operator == "OR":
        return lambda item: any(check(item) for check in inner)
    return lambda item: not any(check(item) for check in inner)


def _condition(name: str, value: Any) -> Check:
    match name, value:
        case "parentId", None:
            return lambda item: item.mailbox.parent == 0
        case "parentId", str():
            return lambda item: names.name(names.MAILBOX, item.mailbox.parent) == value
        case "name", str():
            wanted = fold(value)
            return lambda item: wanted in fold(item.mailbox.name)
        case "role", None:
            return lambda item: item.mailbox.role is None
        case "role", str():
            return lambda item: item.mailbox.role is not None and item.mailbox.role.value == value
        case "hasAnyRole", bool():
            return lambda item: (item.mailbox.role is not None) == value
        case "isSubscribed", bool():
            return lambda item: item.mailbox.subscribed == value
        case (("parentId" | "name" | "role" | "hasAnyRole" | "isSubscribed"), _):
            raise invalid_arguments(f"{name} cannot be that", ["filter"])
    raise MethodError("unsupportedFilter", f"not by {name}")
