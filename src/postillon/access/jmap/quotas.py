"""Quota (RFC 9425): the one that an account has, if it has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from postillon.access.jmap import owned
from postillon.access.jmap.context import Context, Method
from postillon.protocol.jmap import standard
from postillon.protocol.jmap.errors import MethodError, invalid_arguments
from postillon.protocol.jmap.standard import Condition, Filter

CAPABILITY = "urn:ietf:params:jmap:quota"
QUOTA = "Q0"
PROPERTIES = (
    "id", "resourceType", "used", "hardLimit", "scope", "name", "types", "warnLimit", "softLimit",
    "description",
)  # fmt: skip
NAME = "Mail storage"


async def _look(context: Context, account_id: str) -> tuple[str, dict[str, dict[str, Any]]]:
    """The state, and the quotas by id. What others share with the caller has none for them."""
    account = await context.account(account_id)
    facts = await account.facts()
    state = f"{facts.epoch}.{'' if facts.quota is None else facts.quota}.{facts.used}"
    if facts.quota is None:
        return state, {}
    return state, {
        QUOTA: {
            "id": QUOTA,
            "resourceType": "octets",
            "used": facts.used,
            "hardLimit": facts.quota,
            "scope": "account",
            "name": NAME,
            "types": ["Mail"],
            "warnLimit": None,
            "softLimit": None,
            "description": None,
        }
    }


async def get(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.GetArguments.parse(arguments, context.limits)
    state, found = await _look(context, wanted.account_id)
    return owned.listed(wanted, context, state, found, PROPERTIES)


async def changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    """A state tells all there is to know, so nothing has to be kept of the past."""
    wanted = standard.ChangesArguments.parse(arguments)
    state, found = await _look(context, wanted.account_id)
    before = _before(wanted.since_state, state)
    had, has = bool(before[1]), bool(found)
    answer = standard.changes_response(
        wanted.account_id, wanted.since_state, state,
        created=[QUOTA] if has and not had else [],
        updated=[QUOTA] if has and had and wanted.since_state != state else [],
        destroyed=[QUOTA] if had and not has else [],
    )  # fmt: skip
    only_used = bool(answer["updated"]) and before[1] == state.split(".")[1]
    return {**answer, "updatedProperties": ["used"] if only_used else None}


def _before(text: str, state: str) -> list[str]:
    """Raises MethodError cannotCalculateChanges."""
    parts = text.split(".")
    right = len(parts) == 3 and all(p.isascii() and (p.isdigit() or not p) for p in parts)
    if not right or parts[0] != state.split(".")[0]:
        raise MethodError("cannotCalculateChanges")
    return parts


async def query(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryArguments.parse(arguments)
    for level in wanted.sort:
        if level.property not in ("name", "used"):
            raise MethodError("unsupportedSort", f"there is no order by {level.property}")
    state, found = await _look(context, wanted.account_id)
    ids = [one for one, item in found.items() if _matches(item, wanted.filter)]
    return standard.query_response(wanted, state, ids, can_calculate=True)


async def query_changes(context: Context, arguments: dict[str, Any]) -> dict[str, Any]:
    wanted = standard.QueryChangesArguments.parse(arguments)
    state, found = await _look(context, wanted.account_id)
    before = _before(wanted.since_query_state, state)
    ids = [one for one, item in found.items() if _matches(item, wanted.filter)]
    changed = wanted.since_query_state != state
    answer = {
        "accountId": wanted.account_id,
        "oldQueryState": wanted.since_query_state,
        "newQueryState": state,
        "removed": [QUOTA] if changed and before[1] else [],
        "added": [{"id": one, "index": 0} for one in ids] if changed else [],
    }
    return {**answer, "total": len(ids)} if wanted.calculate_total else answer


def _matches(item: Mapping[str, Any], wanted: Filter | None) -> bool:
    """Raises MethodError."""
    if wanted is None:
        return True
    if not isinstance(wanted, Condition):
        found = [_matches(item, part) for part in wanted.conditions]
        if wanted.operator == "AND":
            return all(found)
        return any(found) if wanted.operator == "OR" else not any(found)
    right = True
    for name, value in wanted.properties.items():
        if name not in ("name", "scope", "resourceType", "type"):
            raise MethodError("unsupportedFilter", f"there is no condition {name}")
        if not isinstance(value, str):
            raise invalid_arguments(f"{name} is a String", ["filter"])
        if name == "name":
            right = right and value.lower() in item["name"].lower()
        elif name == "type":
            right = right and value in item["types"]
        else:
            right = right and item[name] == value
    return right


METHODS: Mapping[str, Method] = {
    "Quota/get": get,
    "Quota/changes": changes,
    "Quota/query": query,
    "Quota/queryChanges": query_changes,
}
