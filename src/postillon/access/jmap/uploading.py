"""An upload while it comes: in memory at first, beyond a bound in a file without a name."""

from __future__ import annotations

from pathlib import Path

from aiohttp import web

from postillon.mail.octets import Octets
from postillon.store.large import LargeWriter

IN_MEMORY = 256 * 1024  # octets


class TooLarge(Exception):
    """More octets than are taken."""


async def receive(request: web.Request, most: int, folder: Path | None) -> Octets:
    """The whole body. folder: for large ones; None keeps all in memory. Raises TooLarge or OSError."""
    parts: list[bytes] = []
    size = 0
    file: LargeWriter | None = None
    async for piece in request.content.iter_any():
        size += len(piece)
        if size > most:
            raise TooLarge
        if file is not None:
            file.write([piece])
            continue
        parts.append(piece)
        if size > IN_MEMORY and folder is not None:
            file = LargeWriter(folder)
            file.write(parts)
            parts.clear()
    return b"".join(parts) if file is None else file.finish()
