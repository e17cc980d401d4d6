"""The session resource: what this server can, which accounts there are, where to ask (RFC 8620, 2)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from postillon.access.authority import Identity
from postillon.access.jmap import names
from postillon.access.jmap.context import Services
from postillon.access.jmap.registry import CAPABILITIES
from postillon.directory.principals import Principal

CORE = "urn:ietf:params:jmap:core"
WEBSOCKET = "urn:ietf:params:jmap:websocket"
PRINCIPALS = "urn:ietf:params:jmap:principals"
OWNER = f"{PRINCIPALS}:owner"
COLLATIONS = ("i;ascii-casemap", "i;octet", "i;unicode-casemap")
STATE_LENGTH = 16  # hexadecimal digits
API, SESSION = "/jmap/api", "/jmap/session"
UPLOAD = "/jmap/upload/{accountId}/"
DOWNLOAD = "/jmap/download/{accountId}/{blobId}/{name}?accept={type}"
EVENTS = "/jmap/eventsource/?types={types}&closeafter={closeafter}&ping={ping}"
SOCKET = "/jmap/ws"
STATE_MS, MAX_STATES = 60_000, 10_000  # kept so long, and so many
_Key = tuple[int, str, str, tuple[tuple[int, str], ...]]
_encode = msgspec.json.Encoder(order="sorted").encode


class Sessions:
    """For one worker: sessions, and the states of those that were asked for lately.

    base: what absolute URLs begin with, such as "https://mail.example.org".
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._states: dict[_Key, tuple[int, str]] = {}  # until when (ms), and the state

    async def of(self, identity: Identity, base: str) -> dict[str, Any]:
        """The session resource."""
        shared = await self._services.accounts.shared_with(identity.principal)
        return _session(self._services, identity, base, shared)

    async def state(self, identity: Identity, base: str) -> str:
        """Its state alone, which every response has. What is shared with whom is always looked at."""
        shared = await self._services.accounts.shared_with(identity.principal)
        others = tuple((other.id, other.name or other.login) for other in shared)
        key = (identity.principal, identity.login, base, others)
        now = self._services.clock()
        until, state = self._states.get(key, (0, ""))
        if until <= now:
            if len(self._states) >= MAX_STATES:
                self._states.clear()
            state = _session(self._services, identity, base, shared)["state"]
            self._states[key] = now + STATE_MS, state
        return state


def _session(
    services: Services, identity: Identity, base: str, shared: Sequence[Principal]
) -> dict[str, Any]:
    own = names.name(names.ACCOUNT, identity.principal)
    accounts = {own: _account(services, identity.login, own=True)}
    for other in shared:
        name = names.name(names.ACCOUNT, other.id)
        accounts[name] = _account(services, other.name or other.login, own=False)
    for account in accounts:  # RFC 9670 section 1.5
        told = accounts[account]["accountCapabilities"]
        owner = names.name(names.PRINCIPAL, names.number(names.ACCOUNT, account) or 0)
        told[OWNER] = {"accountIdForPrincipal": own, "principalId": owner}
        if account == own and PRINCIPALS in told:
            told[PRINCIPALS] = {"currentUserPrincipalId": owner}
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
