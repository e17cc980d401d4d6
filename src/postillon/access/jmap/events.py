"""Push as server-sent events (RFC 8620 section 7.3)."""

from __future__ import annotations

import asyncio

import msgspec
from aiohttp import web

from postillon.access.authority import Identity, problem
from postillon.access.jmap.context import Services, let_in
from postillon.access.jmap.states import States
from postillon.directory.guests import Guests

SHORTEST_PING_S, LONGEST_PING_S = 5, 900
SIGN_OF_LIFE_S = 120  # where the client wants no pings: a comment, which finds out who has gone
LONGEST_S = 3_600  # then the client comes again, and shows again who it is
_encode = msgspec.json.Encoder().encode


async def events(
    request: web.Request, services: Services, identity: Identity, guests: Guests
) -> web.StreamResponse:
    """The handler, for whoever has been let in. Raises HTTPBadRequest."""
    types, close, ping = _asked(request)
    states = States(services.accounts, identity.principal, types)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
    )
    try:
        await states.start(request.headers.get("Last-Event-ID", ""))
        await response.prepare(request)
        await response.write(b": here\n\n")
        async with let_in(guests, identity, LONGEST_S):
            await _tell(response, states, close, ping)
    except TimeoutError:
        pass  # the client comes again, and shows again who it is
    except (ConnectionError, asyncio.CancelledError):  # the client has gone, or we are stopping
        return response
    finally:
        states.close()
    await response.write_eof()
    return response


async def _tell(response: web.StreamResponse, states: States, close: bool, ping: int) -> None:
    """All that changes, until the client has heard enough."""
    while True:
        found = await states.next(ping or SIGN_OF_LIFE_S)
        if found is not None:
            await response.write(
                b"event: state\nid: %b\ndata: %b\n\n" % (states.id.encode(), _encode(found))
            )
            if close:
                return
        elif ping:
            await response.write(b'event: ping\ndata: {"interval": %d}\n\n' % ping)
        else:
            await response.write(b": here\n\n")


def _asked(request: web.Request) -> tuple[list[str] | None, bool, int]:
    """types (None: all), whether to close after a state, seconds between pings (0: none)."""
    query = request.query
    types = query.get("types", "*")
    close = query.get("closeafter", "no")
    ping = query.get("ping", "0")
    if close not in ("state", "no") or not (ping.isascii() and ping.isdigit()) or len(ping) > 9:
        raise problem(web.HTTPBadRequest, "closeafter is state or no, and ping a number of seconds")
    seconds = int(ping)
    if seconds:
        seconds = min(max(seconds, SHORTEST_PING_S), LONGEST_PING_S)
    return None if types in ("*", "") else types.split(","), close == "state", seconds
