"""What the types of data beside mail have in common: states, /changes, and the loop of a /set."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from postillon.access.jmap import names
from postillon.access.jmap.context import Context
from postillon.access.jmap.mail import REFUSALS, check_properties, set_error
from postillon.account import owned
from postillon.account.ids import AccountId
from postillon.account.owned import CannotTell, Sort
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_properties
from postillon.protocol.jmap.standard import GetArguments, QueryChangesArguments, SetArguments

Create = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any]]]
Update = Callable[[str, dict[str, Any]], Awaitable[dict[str, Any] | None]]
Destroy = Callable[[str], Awaitable[None]]


async def state_of(context: Context, account: AccountId) -> str:
    found = await context.services.store.query(owned.state(account))
    return names.state(found.epoch, found.modseq)


def listed(
    wanted: GetArguments,
    context: Context,
    state: str,
    found: Mapping[str, Mapping[str, Any]],
    known: Sequence[str],
) -> dict[str, Any]:
    """The response of a /get. found: all there are, by id."""
    properties = known if wanted.properties is None else ("id", *wanted.properties)
    check_properties(properties, known.__contains__, "properties")
    most = context.limits.max_objects_in_get
    if wanted.ids is None and len(found) > most:
        raise MethodError("requestTooLarge", f"there are more than {most}; name some of them")
    ids = list(found) if wanted.ids is None else list(dict.fromkeys(wanted.ids))
    real = {given: context.id_of(given) or given for given in ids}
    items = [
        {name: found[real[given]][name] for name in dict.fromkeys(properties)}
        for given in ids
        if real[given] in found
    ]
    missing = [given for given in ids if real[given] not in found]
    return standard.get_response(wanted.account_id, state, items, missing)


async def changes(
    context: Context, account: AccountId, sort: Sort, letter: str, arguments: dict[str, Any]
) -> dict[str, Any]:
    """The response of a /changes."""
    wanted = standard.ChangesArguments.parse(arguments)
    store = context.services.store
    epoch = (await store.query(owned.state(account))).epoch
    since = names.modseq_of(wanted.since_state, epoch)
    if since is None:
        raise MethodError("cannotCalculateChanges")
    try:
        found = await store.query(owned.changes(account, sort, since, wanted.max_changes))
    except CannotTell:
        raise MethodError("cannotCalculateChanges") from None
    return standard.changes_response(
        wanted.account_id, wanted.since_state, names.state(epoch, found.until),
        created=[names.name(letter, n) for n in found.created],
        updated=[names.name(letter, n) for n in found.updated],
        destroyed=[names.name(letter, n) for n in found.destroyed],
        has_more=found.more,
    )  # fmt: skip


async def query_changes(
    context: Context,
    account: AccountId,
    sort: Sort,
    letter: str,
    wanted: QueryChangesArguments,
    ids: Sequence[str],
) -> dict[str, Any]:
    """The response of a /queryChanges. ids: all results as they are now.

    All that changed is taken out, and put back where it stands (RFC 8620 section 5.6).
    """
    delta = await changes(
        context, account, sort, letter,
        {"accountId": wanted.account_id, "sinceState": wanted.since_query_state},
    )  # fmt: skip
    touched = {*delta["created"], *delta["updated"]}
    end = len(ids)
    if wanted.up_to_id is not None and wanted.up_to_id in ids:
        end = ids.index(wanted.up_to_id) + 1
    added = [{"id": one, "index": n} for n, one in enumerate(ids[:end]) if one in touched]
    removed = [*delta["updated"], *delta["destroyed"]]
    if wanted.max_changes is not None and len(removed) + len(added) > wanted.max_changes:
        raise MethodError("tooManyChanges")
    answer = {
        "accountId": wanted.account_id,
        "oldQueryState": wanted.since_query_state,
        "newQueryState": delta["newState"],
        "removed": removed,
        "added": added,
    }
    return {**answer, "total": len(ids)} if wanted.calculate_total else answer


async def carry_out(
    context: Context,
    account: AccountId,
    wanted: SetArguments,
    create: Create,
    update: Update,
    destroy: Destroy,
) -> dict[str, Any]:
    """The response of a /set. Each object is done for itself."""
    before = await state_of(context, account)
    if wanted.if_in_state is not None and wanted.if_in_state != before:
        raise MethodError("stateMismatch")
    created: dict[str, Any] = {}
    updated: dict[str, Any] = {}
    destroyed: list[str] = []
    refused: dict[str, dict[str, Any]] = {"create": {}, "update": {}, "destroy": {}}
    for key, value in wanted.create.items():
        try:
            created[key] = await create(key, value)
            context.created[key] = created[key]["id"]
        except REFUSALS as error:
            refused["create"][key] = set_error(error).as_json()
    going = {context.id_of(given) for given in wanted.destroy}
    for given, value in wanted.update.items():
        try:
            found = context.id_of(given)
            if found is None or found in going:
                raise SetError("notFound" if found is None else "willDestroy")
            updated[found] = await update(found, value)
        except REFUSALS as error:
            refused["update"][given] = set_error(error).as_json()
    for given in dict.fromkeys(wanted.destroy):
        try:
            found = context.id_of(given)
            if found is None:
                raise SetError("notFound")
            await destroy(found)
            destroyed.append(found)
        except REFUSALS as error:
            refused["destroy"][given] = set_error(error).as_json()
    return {
        "accountId": wanted.account_id,
        "oldState": before,
        "newState": await state_of(context, account),
        "created": created or None,
        "updated": updated or None,
        "destroyed": destroyed or None,
        "notCreated": refused["create"] or None,
        "notUpdated": refused["update"] or None,
        "notDestroyed": refused["destroy"] or None,
    }


def only(value: Mapping[str, Any], allowed: frozenset[str], what: str) -> None:
    """Raises SetError invalidProperties for properties that are not the client's."""
    unknown = sorted(set(value) - allowed)
    if unknown:
        raise invalid_properties(what, *unknown)
