"""What every session may rely on, on both event loops."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from postillon.net.connect import connect
from postillon.net.limits import ConnectionLimits
from postillon.net.listen import Listener, listen
from postillon.net.stream import UNREAD_HIGH, PlaintextInjected, Stream
from postillon.net.tls import ClientTls, ServerTls, end_point, self_signed
from support.streams import memory_pair, socket_pair


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["stdlib", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Run a coroutine to its end on one of the two loops; anything the loop complains of is a fault."""

    def run_on(main: Any) -> None:
        complaints: list[str] = []

        async def wrapped() -> None:
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, context: complaints.append(repr(context)))
            async with asyncio.timeout(20):
                await main

        with asyncio.Runner(loop_factory=request.param) as runner:
            runner.run(wrapped())
        assert complaints == []

    return run_on


@pytest.fixture(scope="module")
def server_tls(tmp_path_factory: pytest.TempPathFactory) -> ServerTls:
    folder = tmp_path_factory.mktemp("tls")
    return ServerTls(*write_pair(folder, ["mail.example.org", "127.0.0.1"]))


def write_pair(folder: Path, names: list[str]) -> tuple[Path, Path]:
    certificate, key = self_signed(names)
    (folder / "cert.pem").write_bytes(certificate)
    (folder / "key.pem").write_bytes(key)
    return folder / "cert.pem", folder / "key.pem"


def serve(handler: Callable[[Stream], Awaitable[None]], **options: Any) -> tuple[Listener, int]:
    sock = socket.create_server(("127.0.0.1", 0))
    return listen(sock, handler, **options), sock.getsockname()[1]


async def read_all(stream: Stream) -> bytes:
    data = b""
    while more := await stream.receive(10):
        data += more
    return data


async def echo(stream: Stream) -> None:
    while data := await stream.receive(10):
        await stream.send(data)


def test_octets_go_both_ways_and_the_end_reads_as_nothing(run: Any) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        await near.send(b"ab")
        near.write(b"cd")
        assert await far.receive() in (b"ab", b"abcd")
        near.close()
        await read_all(far)
        assert await far.receive() == b""
        far.close()
        await near.wait_closed()
        await far.wait_closed()

    run(scenario())


def test_a_peer_that_ends_its_side_still_gets_its_reply(run: Any) -> None:
    async def scenario() -> None:
        async def handler(stream: Stream) -> None:
            asked = await read_all(stream)
            await stream.send(b"got " + asked)

        listener, port = serve(handler)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"all")
        writer.write_eof()
        assert await reader.read() == b"got all"
        writer.close()
        await listener.stop(5)

    run(scenario())


def test_the_last_reply_survives_a_close_with_unread_input(run: Any) -> None:
    async def scenario() -> None:
        async def handler(stream: Stream) -> None:
            await stream.receive()
            await stream.send(b"500 enough\r\n")

        listener, port = serve(handler)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"x")
        assert await reader.read(3) == b"500"
        for _ in range(20):
            writer.write(b"y" * 50_000)  # arrives after the session has closed
        await writer.drain()
        assert await reader.read() == b" enough\r\n"
        writer.close()
        await listener.stop(5)

    run(scenario())


def test_a_wait_ends_with_its_time_and_the_stream_goes_on(run: Any) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        with pytest.raises(TimeoutError):
            await far.receive(0.01)
        await near.send(b"late")
        assert await far.receive(5) == b"late"
        near.abort()
        far.abort()

    run(scenario())


def test_cancelling_a_receive_loses_nothing(run: Any) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        waiting = asyncio.ensure_future(far.receive())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await near.send(b"kept")
        assert await far.receive() == b"kept"
        near.abort()
        far.abort()

    run(scenario())


def test_reading_stops_while_nobody_takes_the_input(run: Any) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        sender = asyncio.ensure_future(near.send(b"z" * 4_000_000))
        while far.pending() < UNREAD_HIGH:
            await asyncio.sleep(0)
        for _ in range(200):
            await asyncio.sleep(0)
        assert far.pending() < UNREAD_HIGH * 2
        assert near.unsent() > 0
        got = 0
        while got < 4_000_000:
            got += len(await far.receive())
        await sender
        near.abort()
        far.abort()

    run(scenario())


def test_a_peer_that_takes_nothing_is_cut(run: Any) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        near.write(b"z" * 4_000_000)
        with pytest.raises(TimeoutError):
            await near.drain(0.01)
        await near.wait_closed()
        with pytest.raises(ConnectionError):
            await near.send(b"more")
        far.abort()

    run(scenario())


def test_starttls_protects_what_follows_and_both_sides_know_the_same(
    run: Any, server_tls: ServerTls
) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        seen: list[Stream] = []

        async def server() -> None:
            assert await far.receive() == b"STARTTLS\r\n"
            await far.start_tls(server_tls, b"220 go\r\n")
            seen.append(far)
            await echo(far)
            far.close()

        serving = asyncio.ensure_future(server())
        await near.send(b"STARTTLS\r\n")
        assert await near.receive() == b"220 go\r\n"
        await near.start_tls(ClientTls("mail.example.org"))
        await near.send(b"secret" * 50_000)
        got = b""
        while len(got) < 300_000:
            got += await near.receive(10)
        assert got == b"secret" * 50_000
        assert near.tls is not None
        assert far.tls is not None
        assert near.tls.version == far.tls.version == "TLSv1.3"
        assert near.tls.end_point == far.tls.end_point == server_tls.end_point != None  # noqa: E711
        assert near.tls.verified is False
        assert near.tls.peer_certificate is not None
        assert end_point(near.tls.peer_certificate) == server_tls.end_point
        near.close()
        await serving
        await near.wait_closed()
        await far.wait_closed()

    run(scenario())


def test_a_client_hello_that_comes_at_once_is_not_taken_for_clear_text(
    run: Any, server_tls: ServerTls
) -> None:
    """The client answers the 220 faster than the server gets to its handshake."""

    async def scenario() -> None:
        async def handler(stream: Stream) -> None:
            await stream.receive()
            await stream.start_tls(server_tls, b"220 go\r\n")
            await echo(stream)

        listener, port = serve(handler)

        def client() -> bytes:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(b"STARTTLS\r\n")
                assert sock.recv(100) == b"220 go\r\n"
                context = ssl.create_default_context()
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
                with context.wrap_socket(sock) as secure:
                    secure.sendall(b"hello")
                    return secure.recv(100)

        for _ in range(10):
            assert await asyncio.to_thread(client) == b"hello"
        await listener.stop(5)

    run(scenario())


def test_clear_text_behind_starttls_is_refused_before_anything_is_said(
    run: Any, server_tls: ServerTls
) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        await near.send(b"STARTTLS\r\n")
        assert await far.receive() == b"STARTTLS\r\n"
        await near.send(b"RCPT TO:<eve@example.org>\r\n")
        while not far.pending():
            await asyncio.sleep(0)
        with pytest.raises(PlaintextInjected):
            await far.start_tls(server_tls, b"220 go\r\n")
        far.write(b"501 no\r\n")
        far.close()
        assert await read_all(near) == b"501 no\r\n"
        near.close()
        await far.wait_closed()

    run(scenario())


def test_clear_text_after_the_220_fails_the_handshake_and_is_never_input(
    run: Any, server_tls: ServerTls
) -> None:
    async def scenario() -> None:
        near, far = await socket_pair()
        await near.send(b"STARTTLS\r\n")
        assert await far.receive() == b"STARTTLS\r\n"
        starting = asyncio.ensure_future(far.start_tls(server_tls, b"220 go\r\n"))
        assert await near.receive() == b"220 go\r\n"
        await near.send(b"RCPT TO:<eve@example.org>\r\n")
        with pytest.raises(OSError):
            await starting
        assert await far.receive() == b""
        assert far.lost
        await far.wait_closed()
        near.close()

    run(scenario())


def test_the_end_of_tls_is_the_end_of_the_connection(run: Any, server_tls: ServerTls) -> None:
    """close_notify and then clear text (Exim CVE-2026-45185): the clear text reaches nobody."""

    async def scenario() -> None:
        got: list[bytes] = []
        ended = asyncio.Event()

        async def handler(stream: Stream) -> None:
            got.append(await read_all(stream))
            assert stream.lost
            stream.write(b"in clear?")
            ended.set()

        listener, port = serve(handler, tls=server_tls)

        def client() -> bytes:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = socket.create_connection(("127.0.0.1", port))
            secure = context.wrap_socket(sock)
            secure.sendall(b"BDAT 100\r\n")
            try:
                plain: socket.socket = secure.unwrap()
                plain.sendall(b"QUIT\r\n")
            except OSError:
                return b""
            try:
                return plain.recv(100)
            except OSError:
                return b""
            finally:
                plain.close()

        answer = await asyncio.to_thread(client)
        await ended.wait()
        assert got == [b"BDAT 100\r\n"]
        assert answer == b""
        await listener.stop(5)

    run(scenario())


def test_implicit_tls_verified_and_refused_for_another_name(
    run: Any, server_tls: ServerTls
) -> None:
    async def scenario() -> None:
        listener, port = serve(echo, tls=server_tls)
        authorities = str(server_tls.certificate)
        good = ClientTls("mail.example.org", verify=True, authorities=authorities)
        stream = await connect("127.0.0.1", port, tls=good)
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        assert stream.tls is not None
        assert stream.tls.verified
        stream.close()
        await stream.wait_closed()
        bad = ClientTls("mail.example.net", verify=True, authorities=authorities)
        with pytest.raises(ssl.SSLError):
            await connect("127.0.0.1", port, tls=bad)
        await listener.stop(5)

    run(scenario())


def test_no_tls_before_1_2(run: Any, server_tls: ServerTls) -> None:
    assert server_tls.context.minimum_version is ssl.TLSVersion.TLSv1_2
    assert ClientTls("a.example").context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_plain_client_on_a_tls_port_ends_alone(run: Any, server_tls: ServerTls) -> None:
    async def scenario() -> None:
        limits = ConnectionLimits(total=5, per_place=5)
        listener, port = serve(echo, tls=server_tls, limits=limits)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"EHLO there\r\n" * 10)
        with contextlib.suppress(ConnectionError):
            await reader.read()
        writer.close()
        stream = await connect("127.0.0.1", port, tls=ClientTls("x.example"))
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        stream.close()
        await stream.wait_closed()
        await listener.stop(5)
        assert limits.open == 0

    run(scenario())


def test_one_connection_too_many_is_told_so_and_a_place_comes_free(run: Any) -> None:
    async def scenario() -> None:
        limits = ConnectionLimits(total=1, per_place=5)
        listener, port = serve(echo, limits=limits, refusal=b"421 busy\r\n")
        first = await connect("127.0.0.1", port)
        await first.send(b"x")
        assert await first.receive() == b"x"
        second = await connect("127.0.0.1", port)
        assert await read_all(second) == b"421 busy\r\n"
        first.close()
        await first.wait_closed()
        while limits.open:
            await asyncio.sleep(0)
        third = await connect("127.0.0.1", port)
        await third.send(b"y")
        assert await third.receive() == b"y"
        third.close()
        assert (listener.accepted, listener.refused) == (2, 1)
        await listener.stop(5)

    run(scenario())


def test_running_out_of_descriptors_only_delays_connections(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("postillon.net.listen.ACCEPT_PAUSE_S", 0)
        listener, port = serve(echo)
        accept, failures = listener._sock.accept, [errno.EMFILE, errno.EPERM]

        class Scarce:
            """The listening socket of a process that has no descriptor left, twice."""

            def accept(self) -> Any:
                if failures:
                    raise OSError(failures.pop(), "scarce")
                return accept()

            def __getattr__(self, name: str) -> Any:
                return getattr(sock, name)

        sock = listener._sock
        listener._sock = Scarce()  # type: ignore[assignment]
        stream = await connect("127.0.0.1", port)
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        assert failures == []
        stream.close()
        await listener.stop(5)

    run(scenario())


def test_a_fault_in_one_session_ends_that_connection_only(run: Any) -> None:
    async def scenario() -> None:
        async def handler(stream: Stream) -> None:
            if await stream.receive() == b"bad":
                raise ValueError("a bug")
            await stream.send(b"fine")

        listener, port = serve(handler)
        other = await connect("127.0.0.1", port)
        broken = await connect("127.0.0.1", port)
        await broken.send(b"bad")
        assert await read_all(broken) == b""
        await other.send(b"good")
        assert await read_all(other) == b"fine"
        broken.close()
        other.close()
        await listener.stop(5)

    run(scenario())


def test_stopping_says_farewell_to_the_idle_and_lets_the_busy_finish(run: Any) -> None:
    async def scenario() -> None:
        working, go_on = asyncio.Event(), asyncio.Event()

        async def handler(stream: Stream) -> None:
            while data := await stream.receive():
                if data == b"work":
                    working.set()
                    await go_on.wait()
                    await stream.send(b"250 done\r\n")

        listener, port = serve(handler, farewell=b"421 bye\r\n")
        idle = await connect("127.0.0.1", port)
        busy = await connect("127.0.0.1", port)
        await busy.send(b"work")
        await working.wait()
        stopping = asyncio.ensure_future(listener.stop(10))
        assert await read_all(idle) == b"421 bye\r\n"
        idle.close()
        go_on.set()
        assert await read_all(busy) == b"250 done\r\n421 bye\r\n"
        busy.close()
        assert await stopping == 0
        with pytest.raises(OSError):
            await connect("127.0.0.1", port)

    run(scenario())


def test_a_session_that_does_not_end_is_cut(run: Any) -> None:
    async def scenario() -> None:
        started = asyncio.Event()

        async def handler(stream: Stream) -> None:
            started.set()
            await asyncio.get_running_loop().create_future()

        listener, port = serve(handler)
        stream = await connect("127.0.0.1", port)
        await started.wait()
        assert await listener.stop(0) == 1
        stream.close()

    run(scenario())


def test_a_unix_socket_counts_as_loopback(run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "lmtp.sock"
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(str(path))
        sock.listen()
        seen: list[tuple[str, bool]] = []

        async def handler(stream: Stream) -> None:
            seen.append((stream.peer.ip, stream.unix))
            await echo(stream)

        listener = listen(sock, handler)
        stream = await connect(path)
        await stream.send(b"x")
        assert await stream.receive() == b"x"
        stream.close()
        assert seen == [("127.0.0.1", True)]
        await listener.stop(5)

    run(scenario())


def test_the_streams_in_memory_behave_alike(run: Any) -> None:
    async def scenario() -> None:
        near, far = memory_pair()
        assert (far.peer.ip, far.local.port) == ("192.0.2.9", 25)
        await near.send(b"a" * 300_000)
        got = b""
        while len(got) < 300_000:
            got += await far.receive()
        near.close()
        assert await far.receive() == b""
        far.close()
        await near.wait_closed()
        await far.wait_closed()

    run(scenario())


def test_a_renewed_certificate_serves_the_next_connection(run: Any, tmp_path: Path) -> None:
    async def scenario() -> None:
        tls = ServerTls(*write_pair(tmp_path, ["old.example"]))
        listener, port = serve(echo, tls=tls)
        before = tls.end_point
        assert tls.reload_if_changed() is False
        certificate, key = self_signed(["new.example"])
        tls.certificate.unlink()
        tls.key.unlink()
        tls.certificate.write_bytes(certificate)
        tls.key.write_bytes(key)
        assert tls.reload_if_changed() is True
        stream = await connect("127.0.0.1", port, tls=ClientTls("new.example"))
        assert stream.tls is not None
        assert stream.tls.end_point == tls.end_point != before
        stream.close()
        await stream.wait_closed()
        await listener.stop(5)

    run(scenario())
