"""A POP3 server over a real store in a folder, with one account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from postillon.access.config import Pop3Config
from postillon.access.pop3.server import Pop3Server
from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.account.roles import INBOX_ID
from postillon.clock import system_clock
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import Level, Log
from postillon.mail.mime import scan
from postillon.net.stream import Endpoint, Stream
from postillon.net.tls import ServerTls
from postillon.store.sqlite import SqliteStore, open_store
from support.imap import AUTH, LOGIN, LOOPBACK, PASSWORD
from support.streams import memory_pair, socket_pair
from support.transcript import StreamTarget

SERVER = Endpoint("127.0.0.1", 110)


class Client(StreamTarget):
    """One connection of a client that speaks line by line."""

    def __init__(self, stream: Stream) -> None:
        super().__init__(stream)
        self.stream = stream

    async def do(self, line: str) -> bytes:
        """Send a command; the first line of its answer, without its end."""
        await self.send(line.encode() + b"\r\n")
        return (await self.line()).removesuffix(b"\r\n")

    async def ok(self, line: str) -> bytes:
        answer = await self.do(line)
        assert answer.startswith(b"+OK"), (line, answer)
        return answer[4:]

    async def many(self, line: str) -> bytes:
        """An answer of many lines, whole, unstuffed, without its end."""
        await self.ok(line)
        lines: list[bytes] = []
        while (found := await self.line()) != b".\r\n":
            assert found, lines
            lines.append(found.removeprefix(b"."))
        return b"".join(lines)

    async def login(self) -> bytes:
        await self.ok(f"USER {LOGIN}")
        return await self.ok(f"PASS {PASSWORD}")


class House:
    """A server with one account in it."""

    def __init__(self, store: SqliteStore, server: Pop3Server, account: Account) -> None:
        self.store = store
        self.server = server
        self.account = account
        self.sessions: list[asyncio.Task[None]] = []

    async def connect(self, peer: Endpoint = LOOPBACK, *, sockets: bool = False) -> Client:
        """Connected and greeted. sockets: over a real connection, which can have TLS."""
        near, far = await socket_pair() if sockets else memory_pair(peer, SERVER)
        self.sessions.append(asyncio.ensure_future(self.server.handle(far)))
        client = Client(near)
        assert (await client.line()).startswith(b"+OK")
        return client

    async def client(self) -> Client:
        """Connected and signed in."""
        client = await self.connect()
        await client.login()
        return client

    async def fill(self, *messages: bytes) -> None:
        for content in messages:
            await self.account.append(INBOX_ID, content, scan(content))


@asynccontextmanager
async def house(
    folder: Path, config: Pop3Config | None = None, tls: ServerTls | None = None
) -> AsyncIterator[House]:
    """Opened and closed; fails if a session has logged a fault."""
    faults: list[bytes] = []
    log = Log(faults.append, Level.ERROR)
    store = await open_store(folder / "data", owner="w0", log=log)
    accounts = Accounts(store)
    credentials = Credentials(store, AUTH)
    try:
        await Directory(store).create_domain("example.org")
        principal = await accounts.create(LOGIN, password=await credentials.prepare(PASSWORD))
        server = Pop3Server(
            config or Pop3Config(),
            name="w0",
            hostname="mx.example.org",
            sign_ins=SignIns(credentials, Throttle(AUTH, system_clock)),
            accounts=accounts,
            tls=tls,
            log=log,
        )
        found = House(store, server, accounts.open(principal.id))
        yield found
        for task in found.sessions:
            task.cancel()
        await asyncio.gather(*found.sessions, return_exceptions=True)
    finally:
        await store.close()
    assert not faults, faults
