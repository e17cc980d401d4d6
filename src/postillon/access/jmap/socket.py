"""JMAP over a WebSocket: requests, their responses, and push on one connection (RFC 8887)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import WSMsgType, web

from postillon.access.authority import Identity, problem
from postillon.access.jmap.api import Api
from postillon.access.jmap.context import Services, let_in
from postillon.access.jmap.registry import CAPABILITIES
from postillon.access.jmap.states import States
from postillon.directory.guests import Guests
from postillon.protocol.jmap import ijson
from postillon.protocol.jmap.errors import RequestError
from postillon.protocol.jmap.kinds import WrongType, list_of, optional, string
from postillon.protocol.jmap.request import Call, exceeded, read

SUBPROTOCOL = "jmap"
HEARTBEAT_S = 60.0
LONGEST_S = 24 * 3_600.0
_encode = msgspec.json.Encoder().encode


class Talk:
    """One connection. session_state: what the session says of its state now."""

    def __init__(
        self,
        services: Services,
        identity: Identity,
        api: Api,
        session_state: Callable[[], Awaitable[str]],
        guests: Guests,
    ) -> None:
        self._services = services
        self._identity = identity
        self._api = api
        self._session_state = session_state
        self._socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,),
            heartbeat=HEARTBEAT_S,
            max_msg_size=services.limits.max_size_request,
        )
        self._states: States | None = None
        self._pushing: asyncio.Task[None] | None = None
        self._guests = guests

    async def run(self, request: web.Request) -> web.StreamResponse:
        """Raises HTTPBadRequest for who does not speak it."""
        offered = request.headers.get("Sec-WebSocket-Protocol", "")
        if SUBPROTOCOL not in {item.strip() for item in offered.split(",")}:
            raise problem(web.HTTPBadRequest, "The WebSocket must have the subprotocol jmap")
        await self._socket.prepare(request)
        try:
            async with let_in(self._guests, self._identity, LONGEST_S):
                async for message in self._socket:
                    if message.type is WSMsgType.TEXT:
                        await self._heard(message.data.encode("utf-8", "surrogatepass"))
                    elif message.type is WSMsgType.BINARY:
                        await self._say(
                            _refusal(RequestError("notJSON", "Only text is taken"), None)
                        )
        except TimeoutError:
            pass  # the client comes again, and shows again who it is
        finally:
            self._stop_pushing()
            await self._socket.close()
        return self._socket

    async def _heard(self, octets: bytes) -> None:
        given: Any = None
        try:
            if len(octets) > self._services.limits.max_size_request:
                raise exceeded("maxSizeRequest")
            given = _decoded(octets)
            match given.get("@type"):
                case "Request":
                    await self._say(await self._answer(given))
                case "WebSocketPushEnable":
                    await self._enable(given)
                case "WebSocketPushDisable":
                    self._stop_pushing()
                case _:
                    raise RequestError("notRequest", "The @type is none that is known")
        except RequestError as error:
            await self._say(_refusal(error, given.get("id") if isinstance(given, dict) else None))

    async def _answer(self, given: dict[str, Any]) -> dict[str, Any]:
        """Section 4.3.3."""
        asked = read(given, CAPABILITIES.keys(), self._services.limits)
        responses, context = await self._api.run(asked, self._identity)
        found = {"@type": "Response", **await self._response(responses)}
        if asked.created_ids is not None:
            found["createdIds"] = context.created
        number = given.get("id")
        return {**found, "requestId": number} if isinstance(number, str) else found

    async def _response(self, responses: list[Call]) -> dict[str, Any]:
        return {
            "methodResponses": [[item.name, item.arguments, item.call_id] for item in responses],
            "sessionState": await self._session_state(),
        }

    async def _enable(self, given: dict[str, Any]) -> None:
        """Section 4.3.5.2."""
        try:
            types = optional(list_of(string))(given.get("dataTypes"))
            known = optional(string)(given.get("pushState"))
        except WrongType as error:
            raise RequestError("notRequest", f"dataTypes or pushState {error}") from None
        self._stop_pushing()
        states = self._states = States(self._services.accounts, self._identity.principal, types)
        await states.start(known or "")
        self._pushing = asyncio.create_task(self._push(states))

    async def _push(self, states: States) -> None:
        while True:
            found = await states.next(None)
            if found is not None:
                await self._say({**found, "pushState": states.id})

    def _stop_pushing(self) -> None:
        if self._pushing is not None:
            self._pushing.cancel()
            self._pushing = None
        if self._states is not None:
            self._states.close()
            self._states = None

    async def _say(self, value: dict[str, Any]) -> None:
        if not self._socket.closed:
            await self._socket.send_str(_encode(value).decode())


def _decoded(octets: bytes) -> dict[str, Any]:
    try:
        given = ijson.decode(octets)
    except ijson.NotIJson as error:
        raise RequestError("notJSON", f"This is no I-JSON: {error}") from None
    if not isinstance(given, dict):
        raise RequestError("notRequest", "A message must be an object")
    return given


def _refusal(error: RequestError, number: object) -> dict[str, Any]:
    """Section 4.3.4."""
    found = {"@type": "RequestError", **error.as_json()}
    return {**found, "requestId": number} if isinstance(number, str) else found
