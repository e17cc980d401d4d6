"""The queue on a real store, with time that jumps and other servers that follow a script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from postillon.account.accounts import Accounts
from postillon.account.ids import AccountId
from postillon.account.roles import INBOX_ID
from postillon.deliver.agent import QueuedMessage, Site
from postillon.directory.directory import Directory
from postillon.log import Log
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Notify, Recipient
from postillon.mail.outcome import Deferred, Delivered, Outcome, Status
from postillon.queue.config import QueueConfig
from postillon.queue.dsn import Reporter
from postillon.queue.ids import new_queue_id
from postillon.queue.rulings import Rulings
from postillon.queue.runner import QueueRunner
from postillon.queue.submit import Accepted, Submission, Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from postillon.store.config import StoreConfig
from postillon.store.operation import Steps
from postillon.store.postgresql import connection
from postillon.store.sqlite import SqliteStore, open_store
from support.postgres import rows_of
from support.stores import open_test_store
from support.virtual import VirtualLoop

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

RELAYED = Delivered(Status("2.0.0", "taken", host="mx.remote.example"), relayed=True)
MESSAGE = (
    b"From: Ada <ada@example.org>\r\nTo: far@remote.example\r\nSubject: Hello\r\n"
    b"Message-ID: <one@example.org>\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
)


@dataclass
class Try:
    at: int
    destination: str
    to: tuple[str, ...]


@dataclass
class ScriptedAgent:
    """`answer(now, destination, address)` says how a try ends. Keeps what it was asked."""

    clock: Callable[[], int]
    answer: Callable[[int, str, str], Outcome] = lambda now, destination, to: RELAYED
    seconds: float = 0.1  # a try takes
    hosts: Callable[[str], tuple[str, ...]] = lambda destination: (f"mx.{destination}",)
    tries: list[Try] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0

    async def site(self, destination: str) -> Site:
        hosts = self.hosts(destination)
        return Site(",".join(f"{host}:25" for host in hosts), hosts, destination)

    async def reach(self, site: Site) -> Deferred | None:
        """A probe without a message: a try to nobody, if it finds nobody."""
        begun = self.clock()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        await asyncio.sleep(self.seconds)
        self.at_once -= 1
        outcome = self.answer(self.clock(), site.destination, "")
        if not isinstance(outcome, Deferred) or not outcome.destination:
            return None
        self.tries.append(Try(begun, site.destination, ()))
        return outcome

    async def deliver(
        self, message: QueuedMessage, site: Site, to: Sequence[Recipient]
    ) -> Sequence[Outcome]:
        destination = site.destination
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            paths = tuple(str(item.forward_path) for item in to)
            self.tries.append(Try(self.clock(), destination, paths))
            await asyncio.sleep(self.seconds)
            return [self.answer(self.clock(), destination, path) for path in paths]
        finally:
            self.at_once -= 1


@dataclass
class Office:
    """Accounts ada@example.org and bob@example.net, a submitter and a runner."""

    store: AnyStore
    loop: VirtualLoop
    directory: Directory
    accounts: Accounts
    agent: ScriptedAgent
    config: QueueConfig
    logged: list[bytes]
    ids: dict[str, AccountId]
    worker: str = "w0@one"
    runner: QueueRunner = None  # type: ignore[assignment] # set by `open`
    submitter: Submitter = None  # type: ignore[assignment]

    def open(self) -> None:
        log = Log(self.logged.append)
        recipients = Recipients(self.directory, RouteConfig())
        reporter = Reporter(
            self.store, recipients, self.config, hostname="mx.example.org",
            clock=self.loop.clock, random=Random(7), log=log,
        )  # fmt: skip
        rulings = Rulings(self.store, recipients, self.config, clock=self.loop.clock, log=log)
        self.runner = QueueRunner(
            self.store, self.agent, reporter, self.config, clock=self.loop.clock,
            random=Random(7), log=log, rulings=rulings, worker=self.worker,
        )  # fmt: skip
        self.submitter = Submitter(
            self.store, recipients, self.config, runner=self.runner, rulings=rulings,
            clock=self.loop.clock,
        )  # fmt: skip

    async def submit(
        self,
        *to: str | Recipient,
        sender: str | None = "ada@example.org",
        content: bytes = MESSAGE,
        **more: Any,
    ) -> Accepted:
        recipients = tuple(
            item if isinstance(item, Recipient) else Recipient(parse_address(item)) for item in to
        )
        path = None if sender is None else parse_address(sender)
        submitter = self.ids.get(sender or "")
        envelope = Envelope(path, recipients, **more)
        header = b"Received: from here by mx.example.org; Wed, 25 Nov 2026 12:00:00 +0000\r\n"
        queue_id = new_queue_id(self.loop.clock())
        return await self.submitter.submit(
            Submission(envelope, content, header, submitter, {"via": "test"}, queue_id)
        )

    async def inbox(self, login: str) -> list[bytes]:
        """The messages in an INBOX as a client sees them, oldest first."""
        account = self.accounts.open(self.ids[login])
        rows = await account.emails(INBOX_ID, [(1, 2**32)])
        return [row.prefix + await account.content(row) for row in rows]

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        """Asked beside the loop, which stands still meanwhile."""
        if not isinstance(self.store, SqliteStore):
            return rows_of(self.store.config.database, sql, *arguments)

        def steps() -> Steps[list[tuple[Any, ...]]]:
            return (yield (sql, arguments))

        return self.store.read(steps())

    def empty(self) -> bool:
        return not self.rows("SELECT 1 FROM queue_message UNION SELECT 1 FROM queue_recipient")


def success(address: str) -> Recipient:
    return Recipient(parse_address(address), Notify.SUCCESS | Notify.FAILURE, f"rfc822;{address}")


def stand_still(loop: VirtualLoop, store: AnyStore) -> None:
    """Let no time pass while the store is at work: its answers come in real time."""

    def held(call: Callable[..., Any]) -> Callable[..., asyncio.Task[Any]]:
        def start(*arguments: Any) -> asyncio.Task[Any]:
            task = loop.create_task(call(*arguments))
            loop.hold(task)
            return task

        return start

    names = ["write"]
    if not isinstance(store, SqliteStore):
        names += ["query", "read_apart", "fetch"]
        store._signals.tell = lambda *_: None  # type: ignore[method-assign] # it has timers
    for name in names:
        setattr(store, name, held(getattr(store, name)))


@asynccontextmanager
async def office(
    folder: Path,
    config: QueueConfig | None = None,
    *,
    worker: str = "w0@one",
    logged: list[bytes] | None = None,
    config_of_store: StoreConfig | None = None,
    **opening: Any,
) -> AsyncIterator[Office]:
    """worker: its slot and the start of the server it belongs to. logged: gets the lines of the log.
    opening: more for `open_store`; then the store is SQLite's whatever the test runs on.
    """
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    slot = worker.partition("@")[0]
    connection.ANSWER_S = None  # a timer would end statements in virtual time
    opened = open_store if opening else open_test_store
    opening_it = loop.create_task(
        opened(folder, config_of_store, owner=slot, clock=loop.clock, **opening)
    )
    loop.hold(opening_it)
    store = await opening_it
    stand_still(loop, store)
    directory, accounts = Directory(store), Accounts(store)
    ids = {}
    for login in ("ada@example.org", "bob@example.net"):
        principal = await directory.by_login(login)
        if principal is None:
            await directory.create_domain(login.partition("@")[2])
            principal = await accounts.create(login)
        ids[login] = AccountId(principal.id)
    made = Office(
        store, loop, directory, accounts, ScriptedAgent(loop.clock),
        config or QueueConfig(), [] if logged is None else logged, ids, worker,
    )  # fmt: skip
    made.open()
    store.on_commit(lambda changes, topics: made.runner.wake() if "queue" in topics else None)
    store.on_commit(lambda changes, topics: made.submitter.hear(topics))
    try:
        await made.runner.start()
        yield made
    finally:
        await made.runner.stop()
        await store.close()
