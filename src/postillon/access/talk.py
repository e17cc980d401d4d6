"""What sessions of clients have in common: answers that are collected, then sent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from postillon.directory.guests import Guests, nobody
from postillon.directory.signin import Granted
from postillon.net.deflate import DeflateStream
from postillon.net.stream import Stream

PARTING_S = 10.0  # for the work under way of who has to go
ENOUGH = 64 * 1024  # octets of output that are sent before more is made


class Talk:
    """The output of one connection, which is `stream`."""

    __slots__ = ("_out", "_out_size", "depart", "stream")

    def __init__(self, stream: Stream) -> None:
        self.stream: Stream | DeflateStream = stream
        self._out: list[bytes] = []
        self._out_size = 0
        self.depart = nobody  # to be called when the client leaves the account; again does no harm

    @property
    def private(self) -> bool:
        """Whether a password may be sent: under TLS, or without leaving the machine (FAULTS 44)."""
        return self.stream.tls is not None or ip_address(self.stream.peer.ip).is_loopback

    def say(self, data: bytes) -> None:
        self._out.append(data)
        self._out_size += len(data)

    async def flush(self) -> None:
        """Send what was said; waits while the client does not read."""
        if self._out:
            await self.stream.send(self.unsaid())

    async def flush_enough(self) -> None:
        """Send when much was said."""
        if self._out_size >= ENOUGH:
            await self.flush()

    def stay(self, guests: Guests, granted: Granted, end: Callable[[], None]) -> None:
        """Somebody has signed in. end: called when what has let them in is good no longer."""
        self.depart = guests.enter(granted.principal.id, granted.credential, end)

    def part(self, farewell: bytes) -> None:
        """End it from outside: the session ends after its present work, or is cut off."""
        self.stream.finish(farewell)
        asyncio.get_running_loop().call_later(PARTING_S, self.stream.abort)

    def unsaid(self) -> bytes:
        data = b"".join(self._out)
        self._out.clear()
        self._out_size = 0
        return data
