"""One connection as a session sees it: octets in, octets out, TLS, and an end.

A `Stream` is the loop's protocol itself (BufferedProtocol over one receive buffer per thread), so
nothing stands between the socket and the session but one copy. What holds for every session:

* Reading stops while `UNREAD_HIGH` octets wait unread, `drain` waits while the peer does not read.
* The end of input, a reset and the end of TLS all read as b"". After TLS nothing is sent in clear.
* Every wait has a limit; the alarms are coarse (`deadline.py`).
* `close` lets the peer read what was written before it: it half-closes and discards input for a moment,
  because closing with unread input would reset the connection and destroy the last reply.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from typing import NamedTuple, cast

from postillon.net.deadline import NEVER, Alarm, alarm_clock
from postillon.net.limits import plain_ip
from postillon.net.tls import (
    HANDSHAKE_TIMEOUT_S,
    SHUTDOWN_TIMEOUT_S,
    ClientTls,
    ServerTls,
    TlsState,
    tls_state,
)

RECEIVE_SIZE = 64 * 1024  # octets; below glibc's mmap threshold, so cutting from it stays cheap
UNREAD_HIGH = 128 * 1024  # octets unread at which reading stops until they are taken
RECEIVE_TIMEOUT_S = 300.0  # RFC 5321 section 4.5.3.2.7
SEND_TIMEOUT_S = 300.0  # for a peer that takes nothing of what we have written
LINGER_S = 2.0  # after our end, for the peer to read the last reply and close
STOP_LINGER_S = 0.5  # the same when the server stops and many must go at once
CLOSE_TIMEOUT_S = 30.0  # for the last replies to leave; then the connection is cut

Data = bytes | bytearray | memoryview


class PlaintextInjected(Exception):
    """The peer sent more in clear text behind its STARTTLS (FAULTS 2). Close, and run none of it."""


class Endpoint(NamedTuple):
    """An IP address and port. Both ends of a Unix socket count as loopback with port 0."""

    ip: str
    port: int


UNIX = Endpoint("127.0.0.1", 0)
UNKNOWN = Endpoint("0.0.0.0", 0)  # noqa: S104 - gone before we could ask; never trusted


class _Thread(threading.local):
    """The receive buffer: filled and emptied within one callback, so a thread needs only one."""

    def __init__(self) -> None:
        self.buffer = memoryview(bytearray(RECEIVE_SIZE))


_thread = _Thread()


class Stream(asyncio.BufferedProtocol):
    """A connection. One task reads; writing is for anybody in the loop's thread."""

    __slots__ = (
        "_alarm",
        "_buffer",
        "_chunks",
        "_clock",
        "_close_alarm",
        "_closing",
        "_drainers",
        "_ended",
        "_ending",
        "_error",
        "_farewell",
        "_gone",
        "_loop",
        "_lost",
        "_open",
        "_paused",
        "_reader",
        "_send_alarm",
        "_send_paused",
        "_transport",
        "_unread",
        "local",
        "peer",
        "tls",
        "unix",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.peer = self.local = UNKNOWN
        self.unix = False
        self.tls: TlsState | None = None
        self._loop = loop
        self._buffer = _thread.buffer
        self._transport: asyncio.Transport = _NO_TRANSPORT
        self._chunks: list[bytes] = []
        self._unread = 0
        self._reader: asyncio.Future[None] | None = None
        self._clock = alarm_clock(loop)
        self._alarm = Alarm(self._receive_late)
        self._send_alarm: Alarm | None = None
        self._close_alarm: Alarm | None = None
        self._drainers: list[asyncio.Future[None]] = []
        self._gone: asyncio.Future[None] | None = (
            None  # someone waits for the connection to be gone
        )
        self._farewell = b""
        self._error: Exception | None = None
        self._paused = False  # we have stopped reading
        self._send_paused = False  # the transport asked us to stop writing
        self._ended = False  # no more input will come
        self._ending = False  # the server is stopping: no more input is wanted
        self._closing = False
        self._lost = False  # the connection is gone
        self._open = False  # what is written may still reach the peer

    # What sessions call

    def pending(self) -> int:
        """Octets that have arrived and were not received yet."""
        return self._unread

    def unsent(self) -> int:
        """Octets written that the peer's side has not taken yet; 0 once we have closed."""
        return self._transport.get_write_buffer_size() if self._open else 0

    @property
    def ending(self) -> bool:
        """Whether the server is stopping, and the session should end after its present work."""
        return self._ending

    @property
    def lost(self) -> bool:
        """Whether nothing that is written now can reach the peer."""
        return not self._open

    @property
    def end_point(self) -> bytes | None:
        """What SCRAM may bind a login to: this connection's certificate (RFC 5929), under TLS."""
        return None if self.tls is None else self.tls.end_point

    async def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> bytes:
        """All octets that have arrived, waiting for the first; b"" when no more will come.

        Raises TimeoutError after `timeout_s` seconds, at most a quarter more; the stream is as before.
        Cancelling loses nothing. Only one task may wait.
        """
        chunks = self._chunks
        if not chunks:
            if self._ended or self._closing:
                return b""
            if self._ending:
                self._say_farewell()
                return b""
            if self._reader is not None:
                raise RuntimeError("two tasks receive from one stream")
            reader = self._reader = self._loop.create_future()
            self._clock.set(self._alarm, timeout_s)
            try:
                await reader
            finally:
                self._reader = None
                self._alarm.at = NEVER
            if not chunks:
                return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        chunks.clear()
        self._unread = 0
        if self._paused and not self._ended:
            self._paused = False
            self._transport.resume_reading()
        return data

    def write(self, data: Data) -> None:
        """Send as soon as the peer takes it. On a connection that is gone or closing: nothing."""
        if self._open:
            self._transport.write(data)

    async def drain(self, timeout_s: float = SEND_TIMEOUT_S) -> None:
        """Wait until the peer has taken enough of what was written to go on.

        Raises ConnectionError if it is gone, TimeoutError (and cuts the connection) if it takes nothing
        for `timeout_s` seconds.
        """
        if not self._open:
            raise ConnectionResetError("the connection is gone") from self._error
        if not self._send_paused:
            return
        waiter = self._loop.create_future()
        self._drainers.append(waiter)
        if self._send_alarm is None:
            self._send_alarm = Alarm(self._send_late)
        self._clock.set(self._send_alarm, timeout_s)
        try:
            await waiter
        finally:
            if waiter in self._drainers:
                self._drainers.remove(waiter)
            if not self._drainers:
                self._send_alarm.at = NEVER

    async def send(self, data: Data) -> None:
        """`write`, then `drain`."""
        if not self._open:
            raise ConnectionResetError("the connection is gone") from self._error
        self._transport.write(data)
        if self._send_paused:
            await self.drain()

    async def start_tls(self, tls: ServerTls | ClientTls, reply: bytes = b"") -> None:
        """Begin TLS; `tls` decides on which side. `reply` is the last thing said in clear text.

        Reading stops before the reply is written, so that the client's hello cannot arrive as clear
        text. The caller makes sure that nothing is left in its own buffers, and forgets what was said.
        Raises PlaintextInjected if input is waiting (nothing was written then), ssl.SSLError, OSError
        or TimeoutError if the handshake fails; the connection is cut then.
        """
        if self._unread:
            raise PlaintextInjected(f"{self._unread} octets")
        if self._ended or not self._open:
            raise ConnectionResetError("the connection is gone") from self._error
        if self.tls is not None:
            raise RuntimeError("the stream has TLS already")
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()
        if reply:
            self._transport.write(reply)
            await self.drain()
        server = isinstance(tls, ServerTls)
        try:
            transport = await self._loop.start_tls(
                self._transport,
                self,
                tls.context,
                server_side=server,
                server_hostname=tls.server_name if isinstance(tls, ClientTls) else None,
                ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
            )
            if transport is None:
                raise ConnectionResetError("the connection ended in the TLS handshake")
        except BaseException as error:
            self.abort()
            self._lose(error if isinstance(error, Exception) else None)
            raise
        self._paused = False  # the loop reads again by itself
        self._secured(transport, tls)

    def finish(self, farewell: bytes = b"") -> None:
        """Ask the session to end: what has arrived may still be received, then comes b"".

        `farewell` is sent first, once the session wants more input. Closing stays with the session.
        """
        self._ending = True
        self._farewell = farewell
        if self._reader is not None and not self._reader.done():
            self._say_farewell()
            self._reader.set_result(None)

    def close(self) -> None:
        """End the connection once all that was written is sent. Input is discarded from now on."""
        if self._closing or self._lost:
            return
        unsent = self.unsent()
        self._closing = True
        self._open = False
        if self._transport is _NO_TRANSPORT:
            self._lose(None)
            return
        self._chunks.clear()
        self._unread = 0
        self._wake_reader()
        if self._ended or self.tls is not None or not self._transport.can_write_eof():
            self._transport.close()
        else:
            self._transport.write_eof()
            self._resume()
        linger = STOP_LINGER_S if self._ending else LINGER_S
        self._close_alarm = Alarm(self.abort)
        self._clock.set(self._close_alarm, CLOSE_TIMEOUT_S if unsent else linger)

    def abort(self) -> None:
        """Cut the connection now. What was written may not arrive."""
        self._closing = True
        self._open = False
        if self._transport is _NO_TRANSPORT:
            self._lose(None)
        elif not self._lost:
            self._transport.abort()

    async def hand_over(self, protocol: asyncio.Protocol) -> None:
        """Give the connection to a protocol of somebody else, such as a library's; wait for its end.

        Nothing but `abort` and `finish` may be called on the stream from then on; nobody may wait in
        `receive`.
        """
        if not self._open:
            raise ConnectionResetError("the connection is gone") from self._error
        self._transport.set_protocol(_Handed(protocol, self))
        protocol.connection_made(self._transport)
        chunks, self._chunks = self._chunks, []
        self._unread = 0
        for chunk in chunks:
            protocol.data_received(chunk)
        self._resume()
        await self.wait_closed()

    async def wait_closed(self) -> None:
        """Wait until the connection that was closed is gone; `close` bounds how long that takes."""
        if self._lost:
            return
        if self._gone is None:
            self._gone = self._loop.create_future()
        await asyncio.shield(self._gone)

    # What the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # of a stream socket, always
        self._open = True
        if transport.get_extra_info("socket").family == socket.AF_UNIX:
            self.unix = True
            self.peer = self.local = UNIX
            return
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not local:
            self.abort()
            return
        self.peer = Endpoint(plain_ip(peer[0]), peer[1])
        self.local = Endpoint(plain_ip(local[0]), local[1])

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._closing:
            return
        self._chunks.append(bytes(self._buffer[:nbytes]))
        self._unread += nbytes
        reader = self._reader
        if reader is not None and not reader.done():
            reader.set_result(None)
        if self._unread >= UNREAD_HIGH and not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake_reader()
        if self.tls is not None:  # ends both directions (FAULTS 4)
            self._open = False
        return self._open  # the peer may have ended only its side, and still reads our replies

    def pause_writing(self) -> None:
        self._send_paused = True

    def resume_writing(self) -> None:
        self._send_paused = False
        drainers, self._drainers = self._drainers, []
        for waiter in drainers:
            if not waiter.done():
                waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(exc)

    # Inside

    def secured(self, tls: ServerTls | ClientTls) -> None:
        """For `listen` and `connect`: the connection began with TLS, whose handshake is done."""
        self._secured(self._transport, tls)

    def _secured(self, transport: asyncio.Transport, tls: ServerTls | ClientTls) -> None:
        self._transport = transport
        connection: ssl.SSLObject = transport.get_extra_info("ssl_object")
        self.tls = tls_state(connection, tls)

    def _lose(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._ended = True
        self._open = False
        self._error = error
        self._wake_reader()
        for waiter in self._drainers:
            if not waiter.done():
                waiter.set_exception(ConnectionResetError("the connection is gone"))
        for alarm in (self._alarm, self._send_alarm, self._close_alarm):
            if alarm is not None:
                self._clock.forget(alarm)
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _wake_reader(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _say_farewell(self) -> None:
        farewell, self._farewell = self._farewell, b""
        if farewell:
            self.write(farewell)

    def _resume(self) -> None:
        if self._paused and not self._ended:
            self._paused = False
            self._transport.resume_reading()

    def _receive_late(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_exception(TimeoutError("nothing received"))

    def _send_late(self) -> None:
        drainers, self._drainers = self._drainers, []
        for waiter in drainers:
            if not waiter.done():
                waiter.set_exception(TimeoutError("the peer takes nothing"))
        self.abort()


class _Handed(asyncio.Protocol):
    """Another protocol on the connection of a stream, which hears of its end."""

    def __init__(self, protocol: asyncio.Protocol, stream: Stream) -> None:
        self._protocol = protocol
        self._stream = stream
        self.data_received = protocol.data_received  # type: ignore[method-assign]
        self.eof_received = protocol.eof_received  # type: ignore[method-assign]
        self.pause_writing = protocol.pause_writing  # type: ignore[method-assign]
        self.resume_writing = protocol.resume_writing  # type: ignore[method-assign]

    def connection_lost(self, exc: Exception | None) -> None:
        self._protocol.connection_lost(exc)
        self._stream.connection_lost(exc)


_NO_TRANSPORT = asyncio.Transport()
