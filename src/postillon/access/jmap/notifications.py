"""ShareNotification (RFC 9670 section 3): what others have shared with the caller, or taken back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import names, owned, sharing
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.filtering import Test, test_of
from postillon.access.jmap.principals import CAPABILITY
from postillon.account import notices
from postillon.account.account import Account
from postillon.account.notices import Notice
from postillon.account.owned import NOTICES
from postillon.account.rights import Right
from postillon.mail.dates import format_moment, parse_moment
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_arguments
from postillon.protocol.jmap.kinds import WrongType, optional, utc_date
from postillon.protocol.jmap.standard import Comparator, Filter

__all__ = ["CAPABILITY", "METHODS"]

MAILBOX = "Mailbox"  # the only type of data that is shared
PROPERTIES = (
    "id", "created", "changedBy", "objectType", "objectAccountId", "objectId", "oldRights",
    "newRights", "name",
)  # fmt: skip


def as_json(item: Notice) -> dict[str, Any]:
    by = None if item.by is None else names.name(names.PRINCIPAL, item.by)
    return {
        "id": names.name(names.NOTICE, item.id),
        "created": format_moment(item.at),
        "changedBy": {"name": item.by_name, "email": item.by_email or None, "principalId": by},
        "objectType": MAILBOX,
        "objectAccountId": names.name(names.ACCOUNT, item.owner),
        "objectId": names.name(names.MAILBOX, item.mailbox),
        "oldRights": _rights(item.old),
        "newRights": _rights(item.new),
        "name": item.name,
    }


def _rights(rights: Right) -> dict[str, bool] | None:
    return sharing.as_json(rights) if rights else None


async def _every(context: Context, account: Account) -> list[Notice]:
    """Those whose time is over go first, so that states tell of it."""
    store = context.services.store
    old = await store.query(notices.expired(account.id, context.services.clock()))
    if old:
        await store.write(lambda tx: notices.remove(tx, account.id, old))
    return await store.query(notices.every(account.id))


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    found = {one["id"]: one for one in map(as_json, await _every(context, account))}
    state = await owned.state_of(context, account.id)
    return owned.listed(wanted, context, state, found, PROPERTIES)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    account = await context.own_account(standard.account_of(arguments))
    await _every(context, account)
    return await owned.changes(context, account.id, NOTICES, names.NOTICE, arguments)


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments)
    account = await context.own_account(wanted.account_id)
    ids = _matching(await _every(context, account), wanted.filter, wanted.sort)
    state = await owned.state_of(context, account.id)
    return standard.query_response(wanted, state, ids, can_calculate=True)


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryChangesArguments.parse(arguments)
    account = await context.own_account(wanted.account_id)
    ids = _matching(await _every(context, account), wanted.filter, wanted.sort)
    return await owned.query_changes(context, account.id, NOTICES, names.NOTICE, wanted, ids)


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """Only to destroy them (section 3.5)."""
    wanted = standard.SetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    there = {as_json(item)["id"] for item in await _every(context, account)}

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        raise SetError("forbidden", "only the server makes them")

    async def update(given: str, changed: dict[str, Any]) -> None:
        if given not in there:
            raise SetError("notFound")
        raise SetError("forbidden", "they do not change")

    async def destroy(given: str) -> None:
        number = names.number(names.NOTICE, given)
        store = context.services.store
        if number is None or not await store.write(
            lambda tx: notices.remove(tx, account.id, [number])
        ):
            raise SetError("notFound")

    return await owned.carry_out(context, account.id, wanted, create, update, destroy)


def _matching(
    every: list[Notice], wanted: Filter | None, sort: tuple[Comparator, ...]
) -> list[str]:
    """Raises MethodError: invalidArguments, unsupportedFilter or unsupportedSort."""
    found = list(filter(test_of(wanted, _condition), every))
    for level in reversed(sort):
        if level.property != "created":
            raise MethodError("unsupportedSort", f"there is no order by {level.property}")
        found.sort(key=lambda item: item.at, reverse=not level.ascending)
    return [names.name(names.NOTICE, item.id) for item in found]


def _condition(name: str, value: Any) -> Test[Notice]:
    match name:
        case "after" | "before":
            try:
                text = optional(utc_date)(value)
            except WrongType as error:
                raise invalid_arguments(f"{name} {error}", ["filter"]) from None
            at = None if text is None else parse_moment(text)
            if at is None:
                return lambda item: True
            return lambda item: item.at < at if name == "before" else item.at >= at
        case "objectType" | "objectAccountId":
            if not isinstance(value, str):
                raise invalid_arguments(f"{name} is a String", ["filter"])
            if name == "objectType":
                return lambda item: value == MAILBOX
            return lambda item: value == names.name(names.ACCOUNT, item.owner)
    raise MethodError("unsupportedFilter", f"there is no condition {name}")


METHODS: Mapping[str, Method] = {
    "ShareNotification/get": get,
    "ShareNotification/changes": changes,
    "ShareNotification/query": query,
    "ShareNotification/queryChanges": query_changes,
    "ShareNotification/set": set_,
}
