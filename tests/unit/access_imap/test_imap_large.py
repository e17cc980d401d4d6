"""A large message goes out in slices: no session holds it whole."""

from __future__ import annotations

import asyncio
import tracemalloc
from pathlib import Path

import pytest

from postillon.account.roles import INBOX_ID
from postillon.mail.mime import scan
from support.imap import Client, House, house
from support.streams import socket_pair

SIZE = 100 << 20
HELD = 4 << 20  # octets: slices of 256 KiB, some of them under way
LINE = b"QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAxMjM0NTY3\r\n"


async def client_of(here: House) -> Client:
    """Over a socket that takes only so much at a time, as the loop's own transports have it."""
    near, far = await socket_pair()
    here.sessions.append(asyncio.ensure_future(here.server.handle(far)))
    client = Client(near)
    await client.response()
    await client.login()
    await client.select()
    return client


@pytest.mark.parametrize("item", ["BODY.PEEK[]", "BODY.PEEK[TEXT]", "BINARY.PEEK[1]"])
async def test_fetch_of_100_mb_holds_a_few_slices(item: str, tmp_path: Path) -> None:
    content = b"Subject: large\r\nContent-Type: application/octet-stream\r\n\r\n"
    content += LINE * (SIZE // len(LINE))
    async with house(tmp_path) as here:
        await here.account.append(INBOX_ID, content, scan(content))
        total = len(content)
        del content
        client = await client_of(here)
        tracemalloc.start()
        try:
            await client.send(b"f FETCH 1 (%b)\r\n" % item.encode())
            received, tail = 0, b""
            while not tail.endswith(b"\r\n") or b"\r\nf OK" not in tail:
                data = await client.stream.receive(20)
                assert data
                received += len(data)
                tail = (tail + data)[-100:]
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert received > total - 200
    assert peak < HELD
