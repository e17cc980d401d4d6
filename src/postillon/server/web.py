"""HTTP for one worker: aiohttp in front of our pages, with bounds, TLS and the headers that protect."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from aiohttp import web
from aiohttp.http import HttpProcessingError

from postillon.access.web import Page, Request, Response
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import Stream

MAX_LINE = 8_190  # octets of a request line or header field
MAX_BODY = 64 * 1024  # octets of a request of these pages
KEEP_S = 30.0  # a connection may be idle between two requests
SHUTDOWN_S = 5.0
HEADERS = {
    "Server": "Postillon",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# Once a browser has come by TLS it keeps to it (RFC 6797).
STRICT = {"Strict-Transport-Security": "max-age=31536000"}


class Complaints(logging.Handler):
    """What aiohttp has to say, as lines of our log: a peer's faulty request is no fault of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        write = self._log.debug if isinstance(error, HttpProcessingError) else self._log.error
        write("http", problem=record.getMessage(), error=repr(error))


class WebServer:
    """Runs connections of browsers and other clients.

    find: the page at a path, or None. A page that raises is answered with 500 and logged.
    routes: what answers by itself, and goes before.
    """

    def __init__(
        self,
        find: Callable[[str], Page | None],
        *,
        routes: Sequence[web.RouteDef] = (),
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self._find = find
        self._log = log
        self._meter = meter
        complaints = logging.Logger("http")
        complaints.addHandler(Complaints(log))
        application = web.Application(client_max_size=MAX_BODY)
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

    async def _answer(self, request: web.Request) -> web.Response:
        page = self._find(request.path)
        if page is None:
            return self._said(request, Response(404, b"There is no such page.\n"))
        if request.method not in ("GET", "HEAD", "POST"):
            return self._said(request, Response(405, b"Not this method.\n"))
        try:
            asked = Request(
                request.method,
                request.path,
                {name.lower(): value for name, value in reversed(list(request.query.items()))},
                request.host.rpartition(":")[0].lower() or request.host.lower(),
                await request.read(),
            )
            answer = await page(asked)
        except web.HTTPException:
            raise
        except Exception as error:
            self._log.error("page_failed", path=request.path, error=repr(error))
            self._meter.count("http_faults")
            answer = Response(500, b"Internal error, please try again.\n")
        return self._said(request, answer)

    def _said(self, request: web.Request, answer: Response) -> web.Response:
        self._meter.count("http_requests", str(answer.status))
        secure = STRICT if request.secure else {}
        headers = {**HEADERS, **secure, **answer.headers, "Content-Type": answer.media_type}
        return web.Response(status=answer.status, body=answer.body, headers=headers)
