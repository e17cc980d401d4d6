"""PushSubscription (RFC 8620 section 7.2), and the key by which push services know us (RFC 9749)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from yarl import URL

from postillon.access.jmap.capability import Capability
from postillon.access.jmap.context import Context, Method
from postillon.directory import push
from postillon.directory.errors import TooMany
from postillon.directory.push import PushSubscription
from postillon.net.outward import MAX_URL
from postillon.protocol.jmap import patch
from postillon.protocol.jmap.errors import (
    MethodError,
    SetError,
    invalid_arguments,
    invalid_properties,
)
from postillon.protocol.jmap.kinds import (
    WrongType,
    identifier,
    list_of,
    map_of,
    optional,
    record,
    reference,
    string,
    utc_date,
)
from postillon.protocol.jmap.standard import Arguments
from postillon.protocol.jmap.webpush import BadKeys, ClientKeys, from_base64url

CAPABILITY = "urn:ietf:params:jmap:core"
VAPID = "urn:ietf:params:jmap:webpush-vapid"
LONGEST_MS = 30 * 86_400_000  # then the client has to say that it is there still; ours
MAX_DEVICE, MAX_TYPES, MAX_TYPE = 255, 100, 100
PROPERTIES = ("id", "deviceClientId", "verificationCode", "expires", "types")
SECRET = ("url", "keys")  # never shown again
CHANGEABLE = frozenset({"verificationCode", "expires", "types"})


async def get(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Section 7.2.1."""
    arguments = Arguments(given)
    ids = arguments.take("ids", optional(list_of(reference)), None)
    wanted = arguments.take("properties", optional(list_of(string)), None)
    arguments.end()
    if ids is not None and len(ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge")
    if wanted is not None:
        if any(name in SECRET for name in wanted):
            raise MethodError("forbidden", "url and keys are not shown")
        unknown = [name for name in wanted if name not in PROPERTIES]
        if unknown:
            raise invalid_arguments(f"there is no property {unknown[0]}", ["properties"])
    found = {str(item.id): item for item in await _own(context)}
    names = list(found) if ids is None else list(dict.fromkeys(ids))
    resolved = {name: context.id_of(name) or "" for name in names}
    return {
        "list": [
            _shown(found[resolved[name]], wanted) for name in names if resolved[name] in found
        ],
        "notFound": [name for name in names if resolved[name] not in found],
    }


async def set_(context: Context, given: dict[str, Any]) -> dict[str, Any]:
    """Section 7.2.2: as a standard /set without account and states."""
    arguments = Arguments(given)
    create = arguments.take("create", optional(map_of(record, identifier)), None) or {}
    update = arguments.take("update", optional(map_of(record, reference)), None) or {}
    destroy = arguments.take("destroy", optional(list_of(reference)), None) or []
    arguments.end()
    if len(create) + len(update) + len(destroy) > context.limits.max_objects_in_set:
        raise MethodError("requestTooLarge")
    found: dict[str, dict[str, Any]] = {
        "created": {}, "notCreated": {}, "updated": {}, "notUpdated": {}, "notDestroyed": {}
    }  # fmt: skip
    destroyed = []
    for name, value in create.items():
        try:
            found["created"][name] = await _create(context, name, value)
        except SetError as error:
            found["notCreated"][name] = error.as_json()
    for name, changes in update.items():
        try:
            found["updated"][name] = await _update(context, name, changes)
        except SetError as error:
            found["notUpdated"][name] = error.as_json()
    for name in dict.fromkeys(destroy):
        try:
            destroyed.append(await _destroy(context, name))
        except SetError as error:
            found["notDestroyed"][name] = error.as_json()
    return {
        **{name: value or None for name, value in found.items()},
        "destroyed": destroyed or None,
    }


async def _create(context: Context, name: str, value: dict[str, Any]) -> dict[str, Any]:
    unknown = [key for key in value if key not in (*PROPERTIES, *SECRET)]
    wrong = [key for key in ("id", "verificationCode") if value.get(key) is not None] + unknown
    if wrong:
        raise invalid_properties("these cannot be set", *wrong)
    now = context.services.clock()
    device, url = _device(value.get("deviceClientId")), _url(value.get("url"))
    keys, types = _keys(value.get("keys")), _types(value.get("types"))
    expires_at = _expires(value.get("expires"), now)
    identity = context.identity
    if not context.services.pusher.may_verify(identity.principal):
        raise SetError("rateLimit", "too many subscriptions were made lately")
    try:
        made = await context.services.store.write(
            lambda tx: push.add(
                tx, identity.principal, identity.credential, device=device, url=url, keys=keys,
                types=types, expires_at=expires_at,
            )
        )  # fmt: skip
    except TooMany as error:
        raise SetError("overQuota", str(error)) from None
    context.services.pusher.verify(made)
    context.created[name] = str(made.id)
    # What the client did not say itself; of the keys nothing is ever said.
    return {name: item for name, item in _shown(made, None).items() if value.get(name, ...) != item}


async def _update(context: Context, name: str, changes: dict[str, Any]) -> dict[str, Any] | None:
    item = await _one(context, name)
    before = _shown(item, None)
    after = patch.apply(before, changes)
    wrong = [
        key
        for key in {*after, *before, *(path.split("/")[0] for path in changes)} - CHANGEABLE
        if after.get(key) != before.get(key) or (key in SECRET and key in changes)
    ]
    if wrong:
        raise invalid_properties("these cannot be changed", *sorted(wrong))
    now = context.services.clock()
    types = _types(after.get("types"))
    expires_at = item.expires_at
    if after.get("expires") != before["expires"]:
        expires_at = _expires(after.get("expires"), now)
    code, verified = after.get("verificationCode"), item.verified
    if code is not None and code != item.code:
        raise invalid_properties("this is not the code that was sent", "verificationCode")
    told = None
    if code is not None and not verified:
        verified, told = True, await context.services.pusher.states_now(item.principal)
    await context.services.store.write(
        lambda tx: push.change(
            tx, item.principal, item.id, verified=verified, types=types, expires_at=expires_at,
            told=told,
        )
    )  # fmt: skip
    shown = _date(expires_at)
    return None if shown == after.get("expires") else {"expires": shown}


async def _destroy(context: Context, name: str) -> str:
    item = await _one(context, name)
    await context.services.store.write(lambda tx: push.remove(tx, item.principal, item.id))
    return str(item.id)


async def _own(context: Context) -> list[PushSubscription]:
    """Those that this credential has made."""
    identity = context.identity
    now = context.services.clock()
    return await context.services.store.query(
        push.every(identity.principal, now, identity.credential)
    )


async def _one(context: Context, name: str) -> PushSubscription:
    """Raises SetError notFound."""
    wanted = context.id_of(name)
    for item in await _own(context):
        if str(item.id) == wanted:
            return item
    raise SetError("notFound")


def _shown(item: PushSubscription, wanted: list[str] | None) -> dict[str, Any]:
    found = {
        "id": str(item.id),
        "deviceClientId": item.device,
        "verificationCode": item.code if item.verified else None,
        "expires": _date(item.expires_at),
        "types": item.types,
    }
    return (
        found
        if wanted is None
        else {name: found[name] for name in PROPERTIES if name in wanted or name == "id"}
    )


def _device(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_DEVICE:
        raise invalid_properties(f"must be 1 to {MAX_DEVICE} characters", "deviceClientId")
    return value


def _url(value: Any) -> str:
    """Section 7.2: https, and a host; where it leads is looked at when it is used."""
    if isinstance(value, str) and value.startswith("https://") and len(value) <= MAX_URL:
        try:
            url = URL(value)
            if url.host and url.port and not url.user and not url.password:
                return value
        except ValueError:
            pass
    raise invalid_properties("must be an https URL", "url")


def _keys(value: Any) -> ClientKeys | None:
    if value is None:
        return None
    if not isinstance(value, dict) or set(value) != {"p256dh", "auth"}:
        raise invalid_properties("keys are p256dh and auth", "keys")
    try:
        return ClientKeys(
            from_base64url(string(value["p256dh"])), from_base64url(string(value["auth"]))
        )
    except (BadKeys, WrongType) as error:
        raise invalid_properties(str(error), "keys") from None


def _types(value: Any) -> list[str] | None:
    try:
        found = optional(list_of(string))(value)
    except WrongType as error:
        raise invalid_properties(f"types {error}", "types") from None
    if found is not None and (
        len(found) > MAX_TYPES or any(len(item) > MAX_TYPE for item in found)
    ):
        raise invalid_properties("these are too many", "types")
    return found


def _expires(value: Any, now: int) -> int:
    """As the client wants it, but not later than we allow. ms."""
    if value is None:
        return now + LONGEST_MS
    try:
        moment = datetime.fromisoformat(utc_date(value).replace("Z", "+00:00"))
    except (WrongType, ValueError):
        raise invalid_properties("must be a UTCDate", "expires") from None
    asked = int(moment.timestamp()) * 1_000
    if asked <= now:
        raise invalid_properties("must be in the future", "expires")
    return min(asked, now + LONGEST_MS)


def _date(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


CAPABILITIES = (
    Capability(
        VAPID,
        lambda services: {"applicationServerKey": services.pusher.public_key},
        lambda services, own: None,
    ),
)
METHODS: Mapping[str, Method] = {"PushSubscription/get": get, "PushSubscription/set": set_}
