"""Accepting connections and running a session for each.

Connections are accepted by hand, so that one too many costs an `accept`, one line and a `close`, and
so that a renewed certificate serves the next connection without a new listener.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import traceback
from collections.abc import Awaitable, Callable

from postillon.log import SILENT, Log
from postillon.net.limits import ConnectionLimits, plain_ip
from postillon.net.stream import UNIX, Stream
from postillon.net.tls import HANDSHAKE_TIMEOUT_S, SHUTDOWN_TIMEOUT_S, ServerTls

ACCEPT_AT_ONCE = 16  # connections taken in one turn of the loop, so that sessions get theirs
ACCEPT_PAUSE_S = 1.0  # after the process ran out of descriptors or memory

Handler = Callable[[Stream], Awaitable[None]]


class Listener:
    """One listening socket with the sessions that came from it.

    handler: runs one connection to its end. tls: begin every connection with TLS. refusal: said to a
    connection over the limits (not under TLS). farewell: said to idle sessions when the server stops.
    on_refused: called for each connection over the limits.
    """

    def __init__(
        self,
        sock: socket.socket,
        handler: Handler,
        *,
        tls: ServerTls | None = None,
        limits: ConnectionLimits | None = None,
        refusal: bytes = b"",
        farewell: bytes = b"",
        on_refused: Callable[[], object] = bool,
        log: Log = SILENT,
    ) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._handler = handler
        self._tls = tls
        self._limits = limits
        self._refusal = refusal if tls is None else b""
        self._farewell = farewell
        self._on_refused = on_refused
        self._log = log
        self._loop = asyncio.get_running_loop()
        self._sessions: dict[asyncio.Task[None], Stream] = {}
        self._retry: asyncio.TimerHandle | None = None
        self._accepting = False
        self.accepted = self.refused = 0
        self.resume()

    @property
    def sessions(self) -> int:
        return len(self._sessions)

    def resume(self) -> None:
        """Accept connections. A new listener does so by itself."""
        self._retry = None
        if not self._accepting:
            self._accepting = True
            self._loop.add_reader(self._sock.fileno(), self._accept)

    def pause(self) -> None:
        """Accept no more; those waiting in the socket stay there."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self._accepting:
            self._accepting = False
            self._loop.remove_reader(self._sock.fileno())

    async def stop(self, patience_s: float) -> int:
        """Accept no more, let every session finish its reply, and close the socket.

        Sessions still busy after `patience_s` seconds are cut. Returns how many.
        """
        self.pause()
        self._sock.close()
        for stream in self._sessions.values():
            stream.finish(self._farewell)
        if self._sessions:
            await asyncio.wait(list(self._sessions), timeout=patience_s)
        cut = list(self._sessions.items())
        for task, stream in cut:
            stream.abort()
            task.cancel()
        if cut:
            await asyncio.wait([task for task, _ in cut])
        return len(cut)

    def _accept(self) -> None:
        for _ in range(ACCEPT_AT_ONCE):
            try:
                connection, address = self._sock.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError as error:
                # Nearly always no descriptors or memory left. Trying at once would only burn time.
                self._log.error("accept_failed", error=str(error))
                self.pause()
                self._retry = self._loop.call_later(ACCEPT_PAUSE_S, self.resume)
                return
            self._begin(connection, address)

    def _begin(self, connection: socket.socket, address: object) -> None:
        connection.setblocking(False)
        ip = plain_ip(str(address[0])) if isinstance(address, tuple) else UNIX.ip
        place = ""
        if self._limits is not None:
            entered = self._limits.enter(ip)
            if entered is None:
                self._refuse(connection, ip)
                return
            place = entered
        self.accepted += 1
        stream = Stream(self._loop)
        task = self._loop.create_task(self._run(connection, stream, place))
        self._sessions[task] = stream
        task.add_done_callback(self._sessions.pop)

    def _refuse(self, connection: socket.socket, ip: str) -> None:
        self.refused += 1
        self._on_refused()
        self._log.info("refused", peer=ip, reason="too many connections")
        if self._refusal:
            with contextlib.suppress(OSError):  # the peer may be gone already
                connection.send(self._refusal)
        connection.close()

    async def _run(self, connection: socket.socket, stream: Stream, place: str) -> None:
        try:
            if await self._open(connection, stream):
                await self._handler(stream)
        except (ConnectionError, TimeoutError) as error:
            self._log.info("connection_ended", peer=stream.peer.ip, error=str(error))
        except Exception as error:  # a session's fault ends this connection and no other
            self._log.error(
                "session_failed",
                peer=stream.peer.ip,
                error=repr(error),
                traceback=traceback.format_exception(error)[-8:],
            )
        finally:
            stream.close()
            try:
                await stream.wait_closed()
            finally:
                if self._limits is not None:
                    self._limits.leave(place)

    async def _open(self, connection: socket.socket, stream: Stream) -> bool:
        """Hand the socket to the loop, and do the handshake where TLS comes first."""
        tls = self._tls
        try:
            if tls is None:
                await self._loop.connect_accepted_socket(lambda: stream, connection)
                return True
            await self._loop.connect_accepted_socket(
                lambda: stream,
                connection,
                ssl=tls.context,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
            stream.secured(tls)
        except OSError as error:  # ssl.SSLError is one: scanners and wrong ports, every minute
            self._log.debug("handshake_failed", error=str(error))
            return False
        return True


def listen(
    sock: socket.socket,
    handler: Handler,
    *,
    tls: ServerTls | None = None,
    limits: ConnectionLimits | None = None,
    refusal: bytes = b"",
    farewell: bytes = b"",
    on_refused: Callable[[], object] = bool,
    log: Log = SILENT,
) -> Listener:
    """Accept from a socket that listens already, and go on until `Listener.stop`."""
    return Listener(
        sock,
        handler,
        tls=tls,
        limits=limits,
        refusal=refusal,
        farewell=farewell,
        on_refused=on_refused,
        log=log,
    )
