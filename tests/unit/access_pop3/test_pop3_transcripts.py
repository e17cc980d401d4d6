"""The conversations of tests/transcripts/pop3."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from support.imap import LOOPBACK
from support.pop3 import SERVER, house
from support.streams import memory_pair
from support.transcript import StreamTarget, files, play, read

MESSAGES = (
    b"From: bob@example.net\r\nSubject: one\r\n\r\nThe first line\r\nand more\r\n",
    b"From: bob@example.net\r\nSubject: two\r\n\r\n.a line with a dot\r\n.\r\n..and with two\r\n"
    b"The last, without its end",
    b"From: bob@example.net\r\nSubject: three\r\n\r\nUmlauts without a charset: \xfc\xe4\xf6 and a bare"
    b" LF:\nThat is all.\r\n",
)


@pytest.mark.parametrize("piece", [0, 1])
@pytest.mark.parametrize("path", files("pop3"), ids=lambda path: path.stem)
async def test_the_conversation_goes_as_written(path: Path, piece: int, tmp_path: Path) -> None:
    async with house(tmp_path) as here:
        await here.fill(*MESSAGES)
        near, far = memory_pair(LOOPBACK, SERVER)
        target = StreamTarget(near, piece)
        here.sessions.append(asyncio.ensure_future(here.server.handle(far)))
        assert await target.line() == b"+OK mx.example.org ready\r\n"
        await play(read(path), target)
