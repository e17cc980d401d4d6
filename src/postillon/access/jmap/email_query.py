"""Email/query and Email/queryChanges (RFC 8621 sections 4.4 and 4.5)."""

from __future__ import annotations

from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context
from postillon.access.jmap.email_search import Found, Search
from postillon.access.jmap.email_sort import Order
from postillon.access.jmap.mail import changes_of, open_objects, point_of, state_of
from postillon.account.objects import Objects
from postillon.account.sync import Changes
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError
from postillon.protocol.jmap.kinds import boolean

MORE: standard.More = {"collapseThreads": (boolean, False)}


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments, MORE)
    objects = await open_objects(context, wanted.account_id)
    search = Search(
        objects, wanted.filter, Order.of(wanted.sort), wanted.more["collapseThreads"],
        context.services.log,
    )  # fmt: skip
    ends = wanted.anchor is None and wanted.position >= 0 and wanted.limit is not None
    most = wanted.position + wanted.limit if ends and wanted.limit is not None else None
    found = await search.find(most, total=wanted.calculate_total)
    rows = found.rows
    if wanted.anchor is not None:
        start = _start(found, wanted.anchor) + wanted.anchor_offset
        start = max(0, start)
    else:
        start = wanted.position
        if start < 0:
            start = max(0, len(rows) + start)
    stop = None if wanted.limit is None else start + wanted.limit
    answer = {
        "accountId": wanted.account_id,
        "queryState": state_of(found.state),
        "canCalculateChanges": True,
        "position": start,
        "ids": [names.name(names.EMAIL, found.email(row)) for row in rows[start:stop]],
    }
    return {**answer, "total": found.total} if found.total is not None else answer


def _start(found: Found, anchor: str) -> int:
    number = names.number(names.EMAIL, anchor)
    row = found.roll.row(number) if number is not None else None
    if row is not None:
        try:
            return found.rows.index(row)
        except ValueError:
            pass
    raise MethodError("anchorNotFound")


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryChangesArguments.parse(arguments, MORE)
    objects = await open_objects(context, wanted.account_id)
    search = Search(
        objects, wanted.filter, Order.of(wanted.sort), wanted.more["collapseThreads"],
        context.services.log,
    )  # fmt: skip
    found = await search.find(None, total=wanted.calculate_total)
    # Asked later, so that whatever is in the results and new is among them.
    changed = await _changes(objects, wanted.since_query_state, found)
    touched = {*changed.created, *changed.updated, *changed.destroyed}
    if search.by_thread and touched:
        touched |= _with_threads(changed, found)
    rows = set(map(found.roll.row_of_any, touched))
    added = [
        {"id": names.name(names.EMAIL, found.email(row)), "index": n}
        for n, row in enumerate(found.rows)
        if row in rows
    ]
    gone = touched - set(changed.created)
    if wanted.max_changes is not None and len(gone) + len(added) > wanted.max_changes:
        raise MethodError("tooManyChanges")
    answer = {
        "accountId": wanted.account_id,
        "oldQueryState": wanted.since_query_state,
        "newQueryState": state_of(found.state),
        "removed": [names.name(names.EMAIL, email) for email in sorted(gone)],
        "added": added,
    }
    return {**answer, "total": found.total} if found.total is not None else answer


async def _changes(objects: Objects, since: str, found: Found) -> Changes:
    """Raises MethodError cannotCalculateChanges."""
    changed = await changes_of(objects.email_changes, point_of(since, found.state.epoch), None)
    if changed.more:
        raise MethodError("cannotCalculateChanges", "too much has changed")
    return changed


def _with_threads(changed: Changes, found: Found) -> set[int]:
    """All emails of the threads that were touched."""
    roll = found.roll
    threads = set(changed.threads.values())
    if 0 in threads:
        raise MethodError("cannotCalculateChanges")
    return {roll.emails[row] for thread in threads for row in roll.of_thread(thread)}
