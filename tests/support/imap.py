"""An IMAP server over a real store in a folder, and a client that speaks line by line."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from postillon.access.config import ImapConfig
from postillon.access.imap.server import ImapServer
from postillon.account.account import Account
from postillon.account.accounts import Accounts
from postillon.account.indexing import Indexer, SearchConfig
from postillon.clock import system_clock
from postillon.directory.config import AuthConfig
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import Level, Log
from postillon.net.stream import Endpoint, Stream
from postillon.net.tls import ServerTls
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.textindexes import TextIndexes
from support.streams import memory_pair

LOGIN, PASSWORD = "ada@example.org", "correct horse"
OTHER = "bob@example.org"  # who has the same password
LOOPBACK = Endpoint("127.0.0.1", 40_000)
STRANGER = Endpoint("192.0.2.9", 50_000)
SERVER = Endpoint("127.0.0.1", 143)
AUTH = AuthConfig(
    argon2_memory=8,
    argon2_passes=1,
    scram_iterations=4_096,
    free_failures=50,
    channel_binding=True,
)

_LITERAL = re.compile(rb"\{(\d+)\}\r\n\Z")


class Client:
    """One connection. Responses are whole: with their literals, without the last CRLF."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._buffer = b""
        self._tag = 0

    async def response(self) -> bytes:
        """The next response; b"" at the end."""
        found = b""
        while True:
            end = self._buffer.find(b"\n")
            while end < 0:
                if not await self._more():
                    return b""
                end = self._buffer.find(b"\n")
            found += self._buffer[: end + 1]
            self._buffer = self._buffer[end + 1 :]
            literal = _LITERAL.search(found)
            if literal is None:
                assert found.endswith(b"\r\n"), found
                return found[:-2]
            size = int(literal[1])
            while len(self._buffer) < size:
                if not await self._more():
                    return b""
            found += self._buffer[:size]
            self._buffer = self._buffer[size:]

    async def line(self) -> bytes:
        """The next line without its CRLF, whatever it belongs to; b"" also at the end."""
        while (end := self._buffer.find(b"\r\n")) < 0:
            if not await self._more():
                return b""
        line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
        return line

    async def _more(self) -> bool:
        data = await self.stream.receive(20)
        self._buffer += data
        return bool(data)

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def do(self, line: str | bytes, *literals: bytes) -> list[bytes]:
        """Send a command and give all responses; the tagged one is last, without its tag."""
        self._tag += 1
        tag = b"t%d" % self._tag
        raw = line.encode() if isinstance(line, str) else line
        data = tag + b" "
        *pieces, last = raw.split(b"{}")
        for piece, literal in zip(pieces, literals, strict=True):
            data += piece + b"{%d+}\r\n" % len(literal) + literal
        await self.send(data + last + b"\r\n")
        return await self.until(tag)

    async def until(self, tag: bytes) -> list[bytes]:
        found: list[bytes] = []
        while response := await self.response():
            if response.startswith(tag + b" "):
                found.append(response[len(tag) + 1 :])
                return found
            found.append(response)
        raise AssertionError(f"the connection ended: {found}")

    async def ok(self, line: str | bytes, *literals: bytes) -> list[bytes]:
        found = await self.do(line, *literals)
        assert found[-1].startswith(b"OK"), (line, found)
        return found[:-1]

    async def login(self, who: str = LOGIN) -> None:
        await self.ok(f'LOGIN {who} "{PASSWORD}"')

    async def select(self, mailbox: str = "INBOX") -> list[bytes]:
        return await self.ok(f'SELECT "{mailbox}"')


class House:
    """A server with one account in it."""

    def __init__(
        self,
        store: SqliteStore,
        server: ImapServer,
        account: Account,
        faults: list[bytes],
        texts: TextIndexes,
    ) -> None:
        self.store = store
        self.server = server
        self.account = account
        self.faults = faults  # lines of the log at level error
        self.texts = texts
        self.sessions: list[asyncio.Task[None]] = []

    async def index(self) -> int:
        """What the maintenance process does: take up all messages into the text index."""
        indexer = Indexer(self.store, self.texts, SearchConfig(batch=20, share=100))
        try:
            return await indexer.round()
        finally:
            await indexer.close()

    def connect(self, peer: Endpoint = LOOPBACK) -> Client:
        near, far = memory_pair(peer, SERVER)
        self.sessions.append(asyncio.ensure_future(self.server.handle(far)))
        return Client(near)

    async def client(self, mailbox: str | None = None, who: str = LOGIN) -> Client:
        """Connected and logged in, with a mailbox selected if one is named."""
        client = self.connect()
        assert (await client.response()).startswith(b"* OK")
        await client.login(who)
        if mailbox is not None:
            await client.select(mailbox)
        return client


@asynccontextmanager
async def house(
    folder: Path, config: ImapConfig | None = None, tls: ServerTls | None = None
) -> AsyncIterator[House]:
    """Opened and closed; fails if a session has logged a fault."""
    faults: list[bytes] = []
    log = Log(faults.append, Level.ERROR)
    store = await open_store(folder / "data", owner="w0", log=log)
    texts = TextIndexes(folder / "data", log)
    accounts = Accounts(store, texts)
    store.on_commit(lambda changes, topics: accounts.hub.notify(changes))
    directory = Directory(store)
    credentials = Credentials(store, AUTH)
    try:
        await directory.create_domain("example.org")
        kept = await credentials.prepare(PASSWORD)
        principal = await accounts.create(LOGIN, password=kept)
        await accounts.create(OTHER, password=kept)
        server = ImapServer(
            config or ImapConfig(),
            hostname="mx.example.org",
            sign_ins=SignIns(credentials, Throttle(AUTH, system_clock)),
            directory=directory,
            accounts=accounts,
            tls=tls,
            log=log,
            spool_folder=folder,
        )
        found = House(store, server, accounts.open(principal.id), faults, texts)
        yield found
        for task in found.sessions:
            task.cancel()
        await asyncio.gather(*found.sessions, return_exceptions=True)
    finally:
        texts.close()
        await store.close()
    assert not faults, faults
