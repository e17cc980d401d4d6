"""Principal (RFC 9670): people and groups with whom something can be shared.

Somebody sees the principals of their own domain and those who share something with them. They are
made and changed by administrators: /set refuses.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from postillon.access.jmap import names, owned
from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.access.jmap.filtering import Test, test_of
from postillon.directory.principals import Principal, PrincipalKind
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, SetError, invalid_arguments

CAPABILITY = "urn:ietf:params:jmap:principals"
OWNER = "urn:ietf:params:jmap:principals:owner"
PROPERTIES = (
    "id", "type", "name", "description", "email", "timeZone", "capabilities", "accounts",
)  # fmt: skip
TYPES = {
    PrincipalKind.PERSON: "individual",
    PrincipalKind.SHARED: "resource",
    PrincipalKind.GROUP: "group",
}
CAPABILITIES = (Capability(CAPABILITY, account=lambda services, own: {} if own else None),)
_encode = msgspec.json.Encoder(order="sorted").encode


async def _look(context: Context, account_id: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """A state, and all that the caller sees, by id and in order of their logins."""
    await context.own_account(account_id)
    directory = context.services.directory
    caller = await directory.principal(context.identity.principal)
    if caller is None:
        raise MethodError("accountNotFound")
    shared = await context.shared()
    domain = caller.address.domain
    found = {
        names.name(names.PRINCIPAL, item.id): _as_json(item, caller, shared)
        for item in sorted(await directory.principals(), key=lambda one: one.login)
        if item.id == caller.id or item.id in shared or item.address.domain == domain
    }
    return hashlib.sha256(_encode(found)).hexdigest()[:16], found


def _as_json(item: Principal, caller: Principal, shared: Mapping[int, str]) -> dict[str, Any]:
    name, account = names.name(names.PRINCIPAL, item.id), names.name(names.ACCOUNT, item.id)
    own = item.id == caller.id
    accounts = None
    if own or item.id in shared:
        told = {OWNER: {"accountIdForPrincipal": account, "principalId": name}}
        accounts = {
            account: {
                "name": item.name or item.login, "isPersonal": own, "isReadOnly": False,
                "accountCapabilities": told,
            }
        }  # fmt: skip
    return {
        "id": name,
        "type": TYPES[item.kind],
        "name": item.name or item.login,
        "description": None,
        "email": item.login,
        "timeZone": None,
        "capabilities": {},
        "accounts": accounts,
    }


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    state, found = await _look(context, wanted.account_id)
    return owned.listed(wanted, context, state, found, PROPERTIES)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """The directory keeps no log of what it was: nothing, or all anew."""
    wanted = standard.ChangesArguments.parse(arguments)
    state, _ = await _look(context, wanted.account_id)
    if wanted.since_state != state:
        raise MethodError("cannotCalculateChanges")
    return standard.changes_response(wanted.account_id, state, state)


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments)
    state, found = await _look(context, wanted.account_id)
    items = list(filter(test_of(wanted.filter, _condition), found.values()))
    for level in reversed(wanted.sort):
        if level.property not in ("name", "email", "type"):
            raise MethodError("unsupportedSort", f"there is no order by {level.property}")
        items.sort(key=lambda one: one[level.property], reverse=not level.ascending)
    ids = [str(item["id"]) for item in items]
    return standard.query_response(wanted, state, ids, can_calculate=False)


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryChangesArguments.parse(arguments)
    await context.own_account(wanted.account_id)
    raise MethodError("cannotCalculateChanges")


async def set_(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.SetArguments.parse(arguments, context.limits)
    account = await context.own_account(wanted.account_id)
    _, found = await _look(context, wanted.account_id)

    async def create(key: str, value: dict[str, Any]) -> dict[str, Any]:
        raise _FORBIDDEN

    async def update(given: str, changed: dict[str, Any]) -> None:
        raise _FORBIDDEN if given in found else SetError("notFound")

    async def destroy(given: str) -> None:
        raise _FORBIDDEN if given in found else SetError("notFound")

    return await owned.carry_out(context, account.id, wanted, create, update, destroy)


_FORBIDDEN = SetError("forbidden", "administrators make and change principals")


def _condition(name: str, value: Any) -> Test[Mapping[str, Any]]:
    if name == "accountIds":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise invalid_arguments("accountIds is an array of ids", ["filter"])
        return lambda item: bool({*value} & {*(item["accounts"] or {})})
    if name not in ("email", "name", "text", "type", "timeZone"):
        raise MethodError("unsupportedFilter", f"there is no condition {name}")
    if not isinstance(value, str):
        raise invalid_arguments(f"{name} is a String", ["filter"])
    if name in ("type", "timeZone"):
        return lambda item: bool(item[name] == value)
    fields = ("name", "email", "description") if name == "text" else (name,)
    sought = value.casefold()
    return lambda item: any(sought in (item[field] or "").casefold() for field in fields)


METHODS: Mapping[str, Method] = {
    "Principal/get": get,
    "Principal/changes": changes,
    "Principal/query": query,
    "Principal/queryChanges": query_changes,
    "Principal/set": set_,
}
