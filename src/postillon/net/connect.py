"""Opening connections."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address
from pathlib import Path

from postillon.net.stream import Stream
from postillon.net.tls import HANDSHAKE_TIMEOUT_S, SHUTDOWN_TIMEOUT_S, ClientTls

CONNECT_TIMEOUT_S = 30.0  # RFC 5321 names none; a host that is silent this long is not there


async def connect(
    address: str | Path,
    port: int = 0,
    *,
    source: str | None = None,
    timeout_s: float = CONNECT_TIMEOUT_S,
    tls: ClientTls | None = None,
) -> Stream:
    """Connect to an IP address and port, or to the Unix socket at a path.

    source: the IP address to come from. tls: begin with TLS at once (port 465); the handshake has its
    own time limit. Names are not resolved here: the resolver is the caller's.
    Raises OSError, TimeoutError, ssl.SSLError, or ValueError for something that is not an IP address.
    """
    loop = asyncio.get_running_loop()
    target: str | tuple[str, int]
    if isinstance(address, Path):
        family, target = socket.AF_UNIX, str(address)
    else:
        family = socket.AF_INET6 if ip_address(address).version == 6 else socket.AF_INET
        target = (address, port)
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        if family is not socket.AF_UNIX:  # asyncio does so only where the protocol number was given
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if source is not None:
            sock.bind((source, 0))
        async with asyncio.timeout(timeout_s):
            await loop.sock_connect(sock, target)
    except BaseException:
        sock.close()
        raise
    return await adopt(sock, tls)


async def adopt(sock: socket.socket, tls: ClientTls | None = None) -> Stream:
    """A stream over a socket that is connected already and not blocking; the socket is the stream's."""
    loop = asyncio.get_running_loop()
    stream = Stream(loop)
    if tls is None:
        await loop.create_connection(lambda: stream, sock=sock)
        return stream
    await loop.create_connection(
        lambda: stream,
        sock=sock,
        ssl=tls.context,
        server_hostname=tls.server_name,
        ssl_handshake_timeout=HANDSHAKE_TIMEOUT_S,
        ssl_shutdown_timeout=SHUTDOWN_TIMEOUT_S,
    )
    stream.secured(tls)
    return stream
