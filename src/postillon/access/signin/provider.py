"""What all handlers of signing in share, and how they read requests and answer them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qsl

from aiohttp import web

from postillon.access.authority import Authority, problem
from postillon.clock import Clock, system_clock
from postillon.directory import clients
from postillon.directory.clients import Client
from postillon.directory.config import OAuthConfig
from postillon.directory.sessions import Opening
from postillon.directory.signin import SignIns
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.store.operation import Store, WriteOperation

T = TypeVar("T")

MAX_BODY = 16 * 1024  # octets of a request
MAX_FIELDS = 50  # of a form
NO_STORE = {"Cache-Control": "no-store", "Pragma": "no-cache"}  # RFC 6749 section 5.1
# Clients of OAuth may be pages of other sites; nothing here is decided by a cookie (CORS).
ANYWHERE = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type",
    "Access-Control-Max-Age": "3600",
}


class BadRequest(Exception):
    """A body that is not what it must be. The text is for the developer of the client."""


@dataclass(frozen=True, slots=True)
class Provider:
    """The store, who signs in, and how long what we give out is good."""

    store: Store
    sign_ins: SignIns
    authority: Authority
    config: OAuthConfig
    name: str  # of the provider, for people and authenticator apps
    clock: Clock = system_clock
    log: Log = SILENT
    meter: Meter = SILENT_METER
    named: Mapping[str, Client] = field(default_factory=dict)

    async def write(self, operation: WriteOperation[T]) -> T:
        return await self.store.write(operation)

    async def client(self, client: str) -> Client | None:
        """A client by its id, however it is known."""
        if not client.isprintable() or not 0 < len(client) <= clients.MAX_URI:
            return None
        return self.named.get(client) or await self.store.query(clients.registered(client))

    def opening(
        self, request: web.Request, client: str, name: str, device: str, life: timedelta
    ) -> Opening:
        """A session about to begin; its scopes come from what was granted."""
        return Opening(
            client, name, "", device, request.remote or "", ms(self.config.access_time), ms(life)
        )


def ms(time: timedelta) -> int:
    return int(time.total_seconds() * 1000)


def moment(at: int | None) -> str | None:
    """A time in ms as a UTCDate (RFC 8620 section 1.4)."""
    if at is None:
        return None
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def answer(
    value: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> web.Response:
    return web.Response(
        status=status,
        body=json.dumps(value, ensure_ascii=False).encode(),
        content_type="application/json",
        charset="utf-8",
        headers={**NO_STORE, **(headers or {})},
    )


async def body_of(request: web.Request) -> bytes:
    """Raises HTTPRequestEntityTooLarge beyond MAX_BODY octets."""
    octets = bytearray()
    async for part in request.content.iter_any():
        octets += part
        if len(octets) > MAX_BODY:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY, len(octets))
    return bytes(octets)


async def form_of(request: web.Request) -> dict[str, str]:
    """The fields of a form, each at most once (RFC 6749 section 3.2). Raises BadRequest."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise BadRequest("the body must be application/x-www-form-urlencoded")
    body = await body_of(request)
    try:
        pairs = parse_qsl(body.decode("utf-8"), keep_blank_values=True, max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadRequest("the body is no form in UTF-8") from None
    return once(pairs)


def once(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Raises BadRequest for a name that comes twice; `resource` may (RFC 8707 section 2)."""
    found: dict[str, str] = {}
    for name, value in pairs:
        if name in found and name != "resource":
            raise BadRequest(f"{name[:40]} comes twice")
        found[name] = value
    return found


async def json_of(request: web.Request) -> dict[str, object]:
    """The object in the body; {} for none. Raises HTTPBadRequest or HTTPUnsupportedMediaType.

    A page of another site cannot send this type without being asked first, so it cannot sign its
    visitors in as somebody else.
    """
    body = await body_of(request)
    if not body and request.method == "DELETE":
        return {}
    if request.content_type != "application/json":
        raise problem(web.HTTPUnsupportedMediaType, "The body must be application/json")
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        raise problem(web.HTTPBadRequest, "The body is no JSON") from None
    if not isinstance(value, dict):
        raise problem(web.HTTPBadRequest, "The body must be an object")
    return value


def text(value: Mapping[str, object], name: str, most: int = 1_024) -> str:
    """A text among the members of an object; "" where there is none. Raises HTTPBadRequest."""
    found = value.get(name, "")
    if found is None:
        return ""
    if not isinstance(found, str) or len(found) > most or _torn(found):
        raise problem(web.HTTPBadRequest, f"{name} must be a text of at most {most} characters")
    return found


def _torn(found: str) -> bool:
    """Whether a text holds half of a character, which JSON can write and nothing can keep."""
    return any("\ud800" <= character <= "\udfff" for character in found)
