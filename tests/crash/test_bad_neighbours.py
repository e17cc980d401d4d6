"""Servers that hang in every state of SMTP, and DNS servers that die, hang or talk rubbish.

The real queue, agent, resolver and sockets, with time that jumps: each hang ends by its own time-out,
the message stays queued and arrives once when the neighbour is well again, nobody is told a lie
meanwhile, and mail for others does not wait.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

import pytest

from postillon.deliver.remote import RemoteAgent
from postillon.net.config import ResolverConfig
from postillon.net.resolver import Resolver
from postillon.net.tls import self_signed
from postillon.route.config import RouteConfig
from postillon.route.nexthop import NextHops
from support.dns import GARBAGE, SERVFAIL, SILENT, WRONG_NAME, Zone, serving
from support.mailqueue import MESSAGE, Office, office
from support.remote_smtp import DEFAULTS, RemoteServer, listening
from support.server import free_ports
from support.virtual import VirtualLoop, run

ADA = "ada@example.org"
HANGS = 3  # times the neighbour hangs before it is well again
LONG = 2 * 1024 * 1024  # octets: more than the buffers of a connection take
SILENCE = ""  # in a script of RemoteServer: no answer, and the connection stays
MOMENT_S = 60  # virtual seconds in which mail for others must be gone
LONGEST_S = 11 * 60  # until each hang must have ended: RFC 5321 section 4.5.3.2.6 waits 10 minutes
DAY_S = 86_400


class Deaf(RemoteServer):
    """Does not read the content, so that who sends it cannot go on either."""

    hangs = HANGS

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.hangs <= 0:
            return await super()._converse(reader, writer)
        self.hangs -= 1
        for verb in ("GREETING", "HELO", "MAIL", "RCPT", "DATA"):
            writer.write(DEFAULTS[verb].encode() + b"\r\n")
            if verb != "DATA":
                await reader.readuntil(b"\r\n")
        reader._transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(DAY_S)
        return None


def silent_at(verb: str) -> Callable[[], RemoteServer]:
    return lambda: RemoteServer(keywords=("8BITMIME",), script={verb: [SILENCE] * HANGS})


STATES: dict[str, Callable[[], RemoteServer]] = {
    "before the greeting": silent_at("GREETING"),
    "after EHLO": lambda: RemoteServer(script={"EHLO": [SILENCE] * HANGS}),
    "after STARTTLS": lambda: RemoteServer(
        keywords=("STARTTLS",), script={"STARTTLS": [SILENCE] * HANGS}
    ),
    "after MAIL": silent_at("MAIL"),
    "after RCPT": silent_at("RCPT"),
    "after DATA": silent_at("DATA"),
    "after the content": silent_at("CONTENT"),
    "while it should read the content": Deaf,
    "after QUIT": silent_at("QUIT"),
    "in a pipeline": lambda: RemoteServer(script={"RCPT": [SILENCE] * HANGS}),
    "over LMTP": lambda: RemoteServer(lmtp=True, script={"CONTENT": [SILENCE] * HANGS}),
}


@asynccontextmanager
async def neighbourhood(
    folder: Path, bad: RemoteServer, good: RemoteServer, dns: str = "127.0.0.1:9"
) -> AsyncIterator[Office]:
    """An office that sends for real: to `bad.example` and `good.example` by fixed next hops, to
    others by DNS and `bad`'s port.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    protocol = "lmtp" if bad.lmtp else "smtp"
    async with (
        listening(bad) as bad_port,
        listening(good) as good_port,
        office(folder) as here,
    ):
        hops = {
            "bad.example": f"{protocol}://127.0.0.1:{bad_port}",
            "good.example": f"smtp://127.0.0.1:{good_port}",
        }
        agent = RemoteAgent(
            NextHops(
                Resolver(ResolverConfig(servers=(dns,), use_ipv6=False), loop.clock),
                RouteConfig(port=bad_port, allow_loopback_mx=True),
                hostname="mx.example.org",
                random=Random(1),
            ),
            hostname="mx.example.org",
        )
        site = agent.site
        here.agent.site = lambda to: site(hops.get(to, to))  # type: ignore[method-assign]
        here.agent.deliver = agent.deliver  # type: ignore[method-assign]
        try:
            yield here
        finally:
            await agent.stop()


async def finish(here: Office, hours: int) -> None:
    for _ in range(hours * 60):
        if here.empty():
            return
        await asyncio.sleep(60)
    raise AssertionError(f"still there: {here.rows('SELECT * FROM queue_recipient')}")


def contents(server: RemoteServer) -> list[bytes]:
    return [content for _, _, content in server.messages]


@pytest.mark.parametrize("state", STATES)
def test_a_server_that_hangs_keeps_its_own_mail_only(tmp_path: Path, state: str) -> None:
    bad, good = STATES[state](), RemoteServer()
    content = MESSAGE + (b"x" * 70 + b"\r\n") * (LONG // 72 if isinstance(bad, Deaf) else 1)

    async def scene() -> None:
        async with neighbourhood(tmp_path, bad, good) as here:
            await here.submit("one@bad.example", content=content)
            await asyncio.sleep(1)
            await here.submit("two@good.example")
            await asyncio.sleep(MOMENT_S)
            assert len(good.messages) == 1
            if state != "after QUIT":  # by then it has the message
                assert not bad.messages
                assert not here.empty()
            assert await here.inbox(ADA) == []
            await asyncio.sleep(LONGEST_S)
            assert state == "after QUIT" or any(b'"deferred"' in line for line in here.logged)
            await finish(here, 24)
            assert len(bad.messages) == 1
            assert contents(bad)[0].endswith(content)
            assert not any(b"Action: failed" in text for text in await here.inbox(ADA))

    run(scene())


@pytest.mark.parametrize(
    ("tls", "stalls", "secured"), [("required", 3, 1), ("opportunistic", 1, 0)]
)
def test_a_handshake_that_stands_still_ends_by_its_time_out(
    tmp_path: Path, tls: str, stalls: int, secured: int
) -> None:
    """Opportunistic, the message then goes in clear text rather than not at all (RFC 7435)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for name, octets in zip(("cert", "key"), self_signed(["localhost"]), strict=True):
        (tmp_path / name).write_bytes(octets)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    bad, good = RemoteServer(tls=context, stalls=stalls), RemoteServer()

    async def scene() -> None:
        async with neighbourhood(tmp_path / "store", bad, good) as here:
            site = here.agent.site
            hop = f"smtp://127.0.0.1:{bad.port}?tls={tls}"
            here.agent.site = (  # type: ignore[method-assign]
                lambda to: site(hop if to == "bad.example" else to)
            )
            await here.submit("one@bad.example")
            await here.submit("two@good.example")
            await asyncio.sleep(20)
            assert len(good.messages) == 1
            assert not bad.messages
            await finish(here, 24)
            assert len(bad.messages) == 1
            assert (bad.stalls, bad.secured) == (0, secured)
            assert not any(b"Action: failed" in text for text in await here.inbox(ADA))

    run(scene())


def test_a_host_that_takes_no_connection_is_waited_for(tmp_path: Path) -> None:
    """Its queue of connections is full: the kernel answers nothing, as if a firewall stood there."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    stuffing = []
    for _ in range(4):
        sock = socket.socket()
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
        stuffing.append(sock)
    bad, good = RemoteServer(), RemoteServer()

    async def scene() -> None:
        async with neighbourhood(tmp_path, bad, good) as here:
            site = here.agent.site
            hop = [f"smtp://127.0.0.1:{full.getsockname()[1]}"]
            here.agent.site = (  # type: ignore[method-assign]
                lambda to: site(hop[0] if to == "bad.example" and hop else to)
            )
            await here.submit("one@bad.example")
            await here.submit("two@good.example")
            await asyncio.sleep(MOMENT_S)
            assert len(good.messages) == 1
            assert not here.empty()
            hop.clear()
            await finish(here, 24)
            assert len(bad.messages) == 1

    try:
        run(scene())
    finally:
        for sock in (full, *stuffing):
            sock.close()


async def through_a_time_without_dns(
    here: Office, bad: RemoteServer, good: RemoteServer, mend: Callable[[], Awaitable[None]]
) -> None:
    await here.submit("one@far.example")
    await here.submit("two@good.example")
    await asyncio.sleep(MOMENT_S)
    assert len(good.messages) == 1
    await asyncio.sleep(3 * 3_600)
    assert not here.empty()
    assert await here.inbox(ADA) == []
    await mend()
    await finish(here, 2)
    assert len(bad.messages) == 1
    assert await here.inbox(ADA) == []


def zone() -> Zone:
    return Zone({("far.example", "MX"): ["10 mx.far.example."],
                 ("mx.far.example", "A"): ["127.0.0.1"]})  # fmt: skip


@pytest.mark.parametrize("fault", [SILENT, GARBAGE, SERVFAIL, WRONG_NAME])
@pytest.mark.parametrize("name", ["far.example", "mx.far.example"])
def test_a_resolver_that_answers_wrongly_bounces_nothing(
    tmp_path: Path, name: str, fault: str
) -> None:
    bad, good, known = RemoteServer(), RemoteServer(), zone()
    known.broken[name] = fault

    async def mend() -> None:
        known.broken.clear()

    async def scene() -> None:
        async with serving(known) as dns, neighbourhood(tmp_path, bad, good, dns) as here:
            await through_a_time_without_dns(here, bad, good, mend)

    run(scene())


def test_a_resolver_that_is_gone_bounces_nothing(tmp_path: Path) -> None:
    bad, good = RemoteServer(), RemoteServer()
    [port] = free_ports(1)

    async def scene() -> None:
        async with (
            AsyncExitStack() as later,
            neighbourhood(tmp_path, bad, good, f"127.0.0.1:{port}") as here,
        ):

            async def mend() -> None:
                await later.enter_async_context(serving(zone(), port))

            await through_a_time_without_dns(here, bad, good, mend)

    run(scene())
