"""A stream whose octets are compressed in both directions (RFC 4978), for who uses a Stream."""

from __future__ import annotations

import zlib

from postillon.net.stream import RECEIVE_TIMEOUT_S, Data, Stream

# A window of 8 KiB and as much state again: a third of the default's memory for a few per cent of size.
WINDOW_BITS = 13
MEMORY_LEVEL = 6
MAX_INFLATED = (
    256 * 1024
)  # octets given at a time, however well a peer's input is packed (FAULTS 21)


class BadDeflate(ConnectionError):
    """What came is not compressed as agreed."""


class DeflateStream:
    """Over a Stream, with those of its methods that a session uses once compression has begun."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.peer, self.local, self.tls = stream.peer, stream.local, stream.tls
        self.end_point = stream.end_point
        self._pack = zlib.compressobj(6, zlib.DEFLATED, -WINDOW_BITS, MEMORY_LEVEL)
        self._more = False  # the last piece was cut; what follows may be there without more input
        self._unpack = zlib.decompressobj(-zlib.MAX_WBITS)

    def pending(self) -> int:
        """Octets that have arrived, still compressed, and were not received yet."""
        return self.stream.pending() + len(self._unpack.unconsumed_tail)

    def unsent(self) -> int:
        return self.stream.unsent()

    @property
    def ending(self) -> bool:
        return self.stream.ending

    async def receive(self, timeout_s: float = RECEIVE_TIMEOUT_S) -> bytes:
        """As `Stream.receive`. Raises BadDeflate too."""
        while True:
            packed = self._unpack.unconsumed_tail
            if not packed and not self._more:
                packed = await self.stream.receive(timeout_s)
                if not packed:
                    return b""
            try:
                data = self._unpack.decompress(packed, MAX_INFLATED)
            except zlib.error as error:
                raise BadDeflate(str(error)) from error
            self._more = len(data) == MAX_INFLATED
            if data:
                return data
            if self._unpack.eof:
                return b""

    def write(self, data: Data) -> None:
        self.stream.write(self._packed(data))

    async def send(self, data: Data) -> None:
        await self.stream.send(self._packed(data))

    def finish(self, farewell: bytes = b"") -> None:
        """As `Stream.finish`, but in silence: what is said later would have to be packed later."""
        self.stream.finish()

    def close(self) -> None:
        self.stream.close()

    def abort(self) -> None:
        self.stream.abort()

    def _packed(self, data: Data) -> bytes:
        return self._pack.compress(data) + self._pack.flush(zlib.Z_SYNC_FLUSH)
