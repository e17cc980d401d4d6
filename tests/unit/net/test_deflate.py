"""Compression over a real connection."""

from __future__ import annotations

import zlib

import pytest

from postillon.net import deflate
from postillon.net.deflate import BadDeflate, DeflateStream
from support.streams import socket_pair

TEXT = b"* 1 FETCH (FLAGS (\\Seen))\r\n" * 5_000


async def test_what_is_sent_arrives_and_is_smaller_on_the_way() -> None:
    near, far = await socket_pair()
    sender, receiver = DeflateStream(near), DeflateStream(far)
    await sender.send(TEXT)
    found = b""
    while len(found) < len(TEXT):
        found += await receiver.receive(5)
    assert found == TEXT
    await receiver.send(b"short")
    assert len(await near.receive(5)) < 30


async def test_a_bomb_is_given_in_bounded_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deflate, "MAX_INFLATED", 1_000)
    near, far = await socket_pair()
    pack = zlib.compressobj(9, zlib.DEFLATED, -15)
    await near.send(pack.compress(bytes(100_000)) + pack.flush(zlib.Z_SYNC_FLUSH))
    receiver, found = DeflateStream(far), 0
    while found < 100_000:
        piece = await receiver.receive(5)
        assert 0 < len(piece) <= 1_000
        found += len(piece)
    assert found == 100_000


async def test_rubbish_ends_the_conversation() -> None:
    near, far = await socket_pair()
    await near.send(b"NOOP in clear text\r\n")
    with pytest.raises(BadDeflate):
        await DeflateStream(far).receive(5)


async def test_the_end_of_the_stream_is_the_end() -> None:
    near, far = await socket_pair()
    near.close()
    assert await DeflateStream(far).receive(5) == b""
