"""Streams for tests: over a real socket pair, or in memory where time is virtual.

In memory the real `Stream` runs over a transport that hands octets to the other side's stream in the
loop's next turn. It has no TLS; for that use `socket_pair`.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from postillon.net.connect import adopt
from postillon.net.stream import Endpoint, Stream


async def socket_pair() -> tuple[Stream, Stream]:
    """Two ends of one real connection (a Unix socket pair), with everything a stream can do."""
    left, right = socket.socketpair()
    for sock in (left, right):
        sock.setblocking(False)
    return await adopt(left), await adopt(right)


CLIENT, SERVER = Endpoint("192.0.2.9", 50_000), Endpoint("192.0.2.1", 25)


def memory_pair(client: Endpoint = CLIENT, server: Endpoint = SERVER) -> tuple[Stream, Stream]:
    """The client's and the server's end of a connection in memory."""
    loop = asyncio.get_running_loop()
    near, far = Stream(loop), Stream(loop)
    near_transport = MemoryTransport(near, client, server)
    far_transport = MemoryTransport(far, server, client)
    near_transport.other, far_transport.other = far_transport, near_transport
    near.connection_made(near_transport)
    far.connection_made(far_transport)
    return near, far


class _Facts:
    family = socket.AF_INET


class MemoryTransport(asyncio.Transport):
    """Half of a connection in memory. Nothing is ever lost or cut on the way."""

    other: MemoryTransport

    def __init__(self, stream: Stream, local: Endpoint, peer: Endpoint) -> None:
        super().__init__({"socket": _Facts(), "sockname": tuple(local), "peername": tuple(peer)})
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._incoming: list[bytes] = []
        self._reading = True
        self._closed = False
        self._eof_in = False
        self._eof_told = False
        self._turn: asyncio.Handle | None = None

    def write(self, data: Any) -> None:
        if not self._closed and not self.other._closed:
            self.other._incoming.append(bytes(data))
            self.other._schedule()

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.other._eof_in = True
        self.other._schedule()

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True
        self._schedule()

    def is_closing(self) -> bool:
        return self._closed

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._stream.connection_lost, None)
            self.write_eof()

    def abort(self) -> None:
        self.close()

    def _schedule(self) -> None:
        if self._turn is None:
            self._turn = self._loop.call_soon(self._deliver)

    def _deliver(self) -> None:
        self._turn = None
        while self._incoming and self._reading and not self._closed:
            data = self._incoming.pop(0)
            room = self._stream.get_buffer(len(data))
            part = data[: len(room)]
            room[: len(part)] = part
            if data[len(part) :]:
                self._incoming.insert(0, data[len(part) :])
            self._stream.buffer_updated(len(part))
        if self._eof_in and not self._incoming and not self._eof_told and not self._closed:
            self._eof_told = True
            if not self._stream.eof_received():
                self.close()
