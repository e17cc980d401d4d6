"""The session resource: what this server can, which accounts there are, where to ask (RFC 8620, 2)."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec

from postillon.access.authority import Identity
from postillon.access.jmap import names
from postillon.access.jmap.context import Services
from postillon.access.jmap.registry import CAPABILITIES

CORE = "urn:ietf:params:jmap:core"
WEBSOCKET = "urn:ietf:params:jmap:websocket"
COLLATIONS = ("i;ascii-casemap", "i;octet", "i;unicode-casemap")
STATE_LENGTH = 16  # hexadecimal digits
API, SESSION = "/jmap/api", "/jmap/session"
UPLOAD = "/jmap/upload/{accountId}/"
DOWNLOAD = "/jmap/download/{accountId}/{blobId}/{name}?accept={type}"
EVENTS = "/jmap/eventsource/?types={types}&closeafter={closeafter}&ping={ping}"
SOCKET = "/jmap/ws"
_encode = msgspec.json.Encoder(order="sorted").encode


async def session(services: Services, identity: Identity, base: str) -> dict[str, Any]:
    """base: what absolute URLs begin with, such as "https://mail.example.org"."""
    own = names.name(names.ACCOUNT, identity.principal)
    accounts = {own: _account(services, identity.login, own=True)}
    for other in await services.accounts.shared_with(identity.principal):
        name = names.name(names.ACCOUNT, other.id)
        accounts[name] = _account(services, other.name or other.login, own=False)
    found: dict[str, Any] = {
        "capabilities": _capabilities(services, base),
        "accounts": accounts,
        "primaryAccounts": dict.fromkeys(accounts[own]["accountCapabilities"], own),
        "username": identity.login,
        "apiUrl": f"{base}{API}",
        "downloadUrl": f"{base}{DOWNLOAD}",
        "uploadUrl": f"{base}{UPLOAD}",
        "eventSourceUrl": f"{base}{EVENTS}",
    }
    return {**found, "state": state_of(found)}


def state_of(found: dict[str, Any]) -> str:
    """Changes whenever anything in the session does."""
    return hashlib.sha256(_encode(found)).hexdigest()[:STATE_LENGTH]


def _capabilities(services: Services, base: str) -> dict[str, Any]:
    found = {told.urn: told.session(services) for told in CAPABILITIES.values()}
    found[CORE] = {**services.limits.as_json(), "collationAlgorithms": list(COLLATIONS)}
    if WEBSOCKET in found:
        found[WEBSOCKET] = {"url": f"ws{base.removeprefix('http')}{SOCKET}", "supportsPush": True}
    return found


def _account(services: Services, name: str, *, own: bool) -> dict[str, Any]:
    told = {item.urn: item.account(services, own) for item in CAPABILITIES.values()}
    return {
        "name": name,
        "isPersonal": own,
        "isReadOnly": False,  # rights are those of each mailbox
        "accountCapabilities": {urn: value for urn, value in told.items() if value is not None},
    }
