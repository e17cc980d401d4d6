"""A peer without manners: sends any octets to any port, and keeps what came back until the end."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

PATIENCE_S = 30.0  # for the other side to end the connection; none of our servers needs as long
ENOUGH = 1024 * 1024  # octets of answers that are kept


@dataclass(frozen=True, slots=True)
class End:
    """How a connection ended: everything heard, and whether it was cut instead of closed."""

    heard: bytes
    cut: bool

    @property
    def lines(self) -> list[bytes]:
        return self.heard.split(b"\r\n")[:-1]


def trusting() -> ssl.SSLContext:
    """A client's context that takes any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # without loading any authorities
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def client_hello() -> bytes:
    """The first octets of a real TLS handshake."""
    outgoing = ssl.MemoryBIO()
    engine = trusting().wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        engine.do_handshake()
    return outgoing.read()


async def say(
    address: tuple[str, int],
    pieces: Sequence[bytes],
    *,
    tls: bool = False,
    half_close: bool = False,
    pause_s: float = 0.0,
) -> End:
    """Connect, send the pieces, and hear the other side out.

    tls: behind a handshake. half_close: say that no more will come. pause_s: between pieces. Nothing is
    sent after the other side has ended. Raises TimeoutError if it never does.
    """
    async with asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(
            *address, ssl=trusting() if tls else None, limit=ENOUGH
        )
        return await _converse(reader, writer, pieces, half_close and not tls, pause_s)


async def _converse(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    pieces: Sequence[bytes],
    half_close: bool,
    pause_s: float,
) -> End:
    heard = bytearray()
    cut = False

    async def hear() -> None:
        nonlocal cut
        try:
            while data := await reader.read(65_536):
                heard.extend(data[: ENOUGH - len(heard)])
        except OSError:  # a reset; ssl.SSLError is one too
            cut = True

    hearing = asyncio.ensure_future(hear())
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            if pause_s:
                await asyncio.wait([hearing], timeout=pause_s)
            if hearing.done():
                break
        if half_close:
            writer.write_eof()
    except OSError:  # it has had enough of us
        pass
    try:
        await hearing
    finally:
        hearing.cancel()
        writer.transport.abort()
    return End(bytes(heard), cut)


def drip(octets: bytes) -> Iterator[bytes]:
    """One octet at a time."""
    for octet in octets:
        yield bytes([octet])
