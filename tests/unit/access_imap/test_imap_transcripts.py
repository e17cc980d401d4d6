"""The conversations of tests/transcripts/imap, in memory and over a real port."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from postillon.net.connect import connect
from postillon.net.listen import Listener
from support.imap import Client, house
from support.imap_transcript import run, transcripts


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: path.stem)
@pytest.mark.parametrize("piece", [0, 1, 3])
async def test_in_memory(path: Path, piece: int, tmp_path: Path) -> None:
    async with house(tmp_path) as here:

        async def connected() -> Client:
            return here.connect()

        await run(path, connected, piece)


@pytest.mark.parametrize("path", transcripts(), ids=lambda path: path.stem)
async def test_over_a_real_port(path: Path, tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        sock = socket.create_server(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        listener = Listener(sock, here.server.handle)

        async def connected() -> Client:
            return Client(await connect("127.0.0.1", port))

        try:
            await run(path, connected)
        finally:
            await listener.stop(0.1)
            await asyncio.sleep(0)
