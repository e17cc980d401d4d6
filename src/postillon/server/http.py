"""The small HTTP server of the maintenance process: /metrics for Prometheus, /healthz for watchdogs."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from postillon.log import SILENT, Log
from postillon.server.web import Complaints

MAX_HEADER = 8190  # octets of a request line or header field
MAX_BODY = 1024  # octets; nobody has anything to say here
SHUTDOWN_S = 2.0
KEEP_S = 120.0  # for the next request, and for one that never ends; scrapes come more often

EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StatusServer:
    """Serves on sockets that listen already.

    exposition: the figures as text. healthy: whether mail can be accepted; it must be quick.
    """

    def __init__(
        self,
        sockets: Sequence[socket.socket],
        exposition: Callable[[], bytes],
        healthy: Callable[[], Awaitable[bool]],
        log: Log = SILENT,
    ) -> None:
        self._sockets = sockets
        self._exposition = exposition
        self._healthy = healthy
        complaints = logging.Logger("http")
        complaints.addHandler(Complaints(log))
        application = web.Application(client_max_size=MAX_BODY)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._health)
        self._runner = web.AppRunner(
            application,
            handle_signals=False,
            access_log=None,
            logger=complaints,
            max_line_size=MAX_HEADER,
            max_field_size=MAX_HEADER,
            shutdown_timeout=SHUTDOWN_S,
            keepalive_timeout=KEEP_S,
        )

    async def start(self) -> None:
        await self._runner.setup()
        for sock in self._sockets:
            await web.SockSite(self._runner, sock).start()

    async def close(self) -> None:
        await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.Response:
        return web.Response(body=self._exposition(), headers={"Content-Type": EXPOSITION_TYPE})

    async def _health(self, request: web.Request) -> web.Response:
        if await self._healthy():
            return web.Response(text="ok\n")
        return web.Response(status=503, text="not accepting mail\n")
