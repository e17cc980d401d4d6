"""HTTP for one worker: one aiohttp application for all that answers, with bounds, TLS and the headers
that protect."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web
from aiohttp.http import HttpProcessingError

from postillon.access.web import Page, Request, Response
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import Stream
from postillon.server.compression import compressed
from postillon.server.proxies import Contradiction, Proxies

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

MAX_LINE = 8_190  # octets of a request line or header field
MAX_HEADER = 32 * 1024  # octets of all header fields
MAX_BODY = 64 * 1024  # octets of a request that a page reads whole; others have own bounds
KEEP_S = 30.0  # a connection may be idle between two requests
SHUTDOWN_S = 5.0
ANSWER_S = 120.0  # to read a request and begin to answer it
UPLOAD_S = 1_800.0  # for those with a body of many octets, in either direction
LARGE = 1024 * 1024  # octets of such a body
SECURE = web.RequestKey("secure", bool)  # whether the client came to a proxy by TLS
PATIENCE = web.RequestKey("patience", asyncio.Timeout)
UNBOUNDED = ("/jmap/eventsource", "/jmap/ws")  # answers that last as long as the client wants
SERVER = "Postillon"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
CLOSE = {"Connection": "close"}
FORWARDED_ONCE = (
    "let the proxy remove the field of Forwarded and X-Forwarded-For that it does not set"
)
# Once a browser has come by TLS it keeps to it (RFC 6797).
STRICT = {"Strict-Transport-Security": "max-age=31536000"}
# Clients that are web pages of somebody else; they show who asks by themselves, never by a cookie.
SHARED = ("/.well-known/jmap", "/jmap/")
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Last-Event-ID, Range",
    "Access-Control-Expose-Headers": "Content-Range, Content-Disposition, ETag, WWW-Authenticate",
    "Access-Control-Max-Age": "3600",
}


class Complaints(logging.Handler):
    """What aiohttp has to say, as lines of our log: faulty or gone peers are no fault of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        peers = isinstance(error, HttpProcessingError | ConnectionError)
        write = self._log.debug if peers else self._log.error
        write("http", problem=record.getMessage(), error=repr(error))


class WebServer:
    """Runs connections of browsers and other clients.

    find: the page at a path, or None. routes: what answers by itself, and goes before. healthy: what
    /healthz says.
    """

    def __init__(
        self,
        find: Callable[[str], Page | None],
        *,
        routes: Sequence[web.RouteDef] = (),
        proxies: Proxies | None = None,
        healthy: Callable[[], bool] = lambda: True,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._find = find
        self._proxies = proxies or Proxies(())
        self._healthy = healthy
        self._log = log
        self._meter = meter
        complaints = logging.Logger("http")
        complaints.addHandler(Complaints(log))
        application = web.Application(client_max_size=MAX_BODY, middlewares=[self._around])
        application.on_response_prepare.append(self._complete)
        application.router.add_get("/healthz", self._health)
        application.add_routes(routes)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            logger=complaints,
            max_line_size=MAX_LINE,
            max_field_size=MAX_LINE,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=KEEP_S,
        )

    async def start(self) -> None:
        await self._runner.setup()

    async def stop(self) -> None:
        """Take no more requests and let those under way end."""
        await self._runner.cleanup()

    async def handle(self, stream: Stream) -> None:
        """One connection, to its end."""
        server = self._runner.server
        assert server is not None  # started before the listeners
        await stream.hand_over(server())

    @web.middleware
    async def _around(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who asks, the bounds of a request, and what a fault of ours looks like from outside."""
        if sum(len(name) + len(value) for name, value in request.raw_headers) > MAX_HEADER:
            return web.Response(status=431, text="Too many header fields.\n")
        try:
            request = self._told(request)
        except Contradiction:
            self._log.warning("forwarded_twice", peer=request.remote, remedy=FORWARDED_ONCE)
            return web.Response(status=400, text="Forwarded and X-Forwarded-For disagree.\n")
        if request.method == "OPTIONS" and request.path.startswith(SHARED):
            return web.Response(status=204)
        large = (request.content_length or LARGE) >= LARGE and request.can_read_body
        bound = None if request.path.startswith(UNBOUNDED) else UPLOAD_S if large else ANSWER_S
        try:
            response = await self._bounded(request, handler, bound)
            return await compressed(request, response)
        except web.HTTPException:
            raise
        except TimeoutError:
            return web.Response(status=408, text="That took too long.\n", headers=CLOSE)
        except ConnectionError:  # the peer has gone away
            raise
        except Exception as error:
            self._log.error("page_failed", path=request.path, error=repr(error))
            self._meter.count("http_faults")
            return web.Response(status=500, text="Internal error, please try again.\n")

    async def _bounded(
        self, request: web.Request, handler: Handler, bound: float | None
    ) -> web.StreamResponse:
        """Raises TimeoutError."""
        async with asyncio.timeout(bound) as patience:
            request[PATIENCE] = patience
            try:
                return await handler(request)
            finally:
                del request[PATIENCE]

    def _told(self, request: web.Request) -> web.Request:
        """The request as it was made to the proxy in front of us, where there is one.

        Raises Contradiction.
        """
        peer = request.remote or ""
        if not self._proxies.trusts(peer):
            return request
        headers = request.headers
        client = self._proxies.client(
            peer,
            request.secure,
            headers.getall("Forwarded", []),
            (
                # A proxy may add a line of its own behind what the client has sent.
                ",".join(headers.getall("X-Forwarded-For", [])),
                ",".join(headers.getall("X-Forwarded-Proto", [])),
                ",".join(headers.getall("X-Forwarded-Host", [])),
            ),
        )
        request[SECURE] = client.secure  # for the answer, which belongs to this one
        return request.clone(
            remote=client.address,
            scheme="https" if client.secure else "http",
            host=client.host or request.host,
        )

    async def _complete(self, request: web.Request, response: web.StreamResponse) -> None:
        """The headers of every answer that has not set its own, and compression where it helps."""
        self._meter.count("http_requests", str(response.status))
        patience = request.get(PATIENCE)
        if patience is not None and patience.when() is not None:
            # It has begun: whoever reads slowly has as long as who sends much.
            patience.reschedule(asyncio.get_running_loop().time() + UPLOAD_S)
        headers = response.headers
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["Server"] = SERVER
        if request.get(SECURE, request.secure):
            for name, value in STRICT.items():
                headers.setdefault(name, value)
        if request.path.startswith(SHARED):
            for name, value in CORS.items():
                headers.setdefault(name, value)

    async def _health(self, request: web.Request) -> web.StreamResponse:
        if self._healthy():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not accepting mail\n")

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        page = self._find(request.path)
        if page is None:
            return _said(Response(404, b"There is no such page.\n"))
        if request.method not in ("GET", "HEAD", "POST"):
            return _said(Response(405, b"Not this method.\n"))
        asked = Request(
            request.method,
            request.path,
            {name.lower(): value for name, value in reversed(list(request.query.items()))},
            request.host.rpartition(":")[0].lower() or request.host.lower(),
            await request.read(),
        )
        return _said(await page(asked))


def _said(answer: Response) -> web.Response:
    headers = {**answer.headers, "Content-Type": answer.media_type}
    return web.Response(status=answer.status, body=answer.body, headers=headers)
