"""Every SMTP transcript against the whole server: in memory, octet by octet, and over a real port."""

import socket

import pytest

from postillon.net.connect import connect
from postillon.net.listen import listen
from support import transcript
from support.smtp_server import HERE, post

FILES = transcript.files("smtp")


@pytest.mark.parametrize("piece", [0, 3])
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_server_says_what_the_transcript_says(path, piece, tmp_path):
    script = transcript.read(path)
    if piece and path.stem == "early":
        pytest.skip("cut in pieces it is not early")
    async with post(tmp_path, script.kind or "mx") as server:
        await transcript.play(script, server.connect(HERE, piece))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_a_real_port_says_what_the_transcript_says(path, tmp_path):
    script = transcript.read(path)
    async with post(tmp_path, script.kind or "mx") as server:
        with socket.create_server(("127.0.0.1", 0)) as sock:
            sock.setblocking(False)
            listener = listen(sock, server.server.handle)
            stream = await connect("127.0.0.1", sock.getsockname()[1])
            await transcript.play(script, transcript.StreamTarget(stream))
            stream.close()
            await listener.stop(1.0)
