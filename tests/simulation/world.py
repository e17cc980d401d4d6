"""The real queue, store, router and remote agent in virtual time, before a scripted network."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from tests.simulation.network import Network
from tests.support.virtual import VirtualLoop

from postillon.account.accounts import Accounts
from postillon.account.ids import AccountId
from postillon.account.roles import INBOX_ID
from postillon.deliver.remote import RemoteAgent
from postillon.directory.directory import Directory
from postillon.log import Log
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Notify, Recipient
from postillon.queue.config import QueueConfig
from postillon.queue.dsn import Reporter
from postillon.queue.ids import new_queue_id
from postillon.queue.runner import QueueRunner
from postillon.queue.submit import Accepted, Submission, Submitter
from postillon.route.config import RouteConfig
from postillon.route.nexthop import NextHops
from postillon.route.recipient import Recipients
from postillon.setting import hours
from postillon.store.operation import Steps
from postillon.store.sqlite import SqliteStore, open_store

MINUTE = 60
HOUR = 3_600
DAY = 86_400
MESSAGE = (
    b"From: Ada <ada@example.org>\r\nSubject: Hello\r\nMessage-ID: <one@example.org>\r\n"
    b"Date: Wed, 25 Nov 2026 12:00:00 +0000\r\n\r\nHello.\r\n"
)
# Leases are renewed less often than in life: days of virtual time would be spent on nothing else.
CONFIG = QueueConfig(lease=hours(3))
POLL_S = 3_600.0  # the same for the look that guards against lost wake-ups


@dataclass
class World:
    loop: VirtualLoop
    network: Network
    store: SqliteStore
    submitter: Submitter
    runners: list[QueueRunner]
    ada: AccountId
    logged: list[bytes]

    async def send(self, *to: str, notify: Notify | None = Notify.NEVER) -> Accepted:
        """A message from ada@example.org; nobody is told of what becomes of it unless asked."""
        recipients = tuple(Recipient(parse_address(path), notify) for path in to)
        header = b"Received: from here by mx.example.org; Wed, 25 Nov 2026 12:00:00 +0000\r\n"
        return await self.submitter.submit(
            Submission(
                Envelope(parse_address("ada@example.org"), recipients), MESSAGE, header, self.ada,
                {"via": "simulation"}, new_queue_id(self.loop.clock()),
            )
        )  # fmt: skip

    def rows(self, sql: str, *arguments: Any) -> list[tuple[Any, ...]]:
        def steps() -> Steps[list[tuple[Any, ...]]]:
            return (yield (sql, arguments))

        return self.store.read(steps())

    async def inbox(self) -> list[bytes]:
        """What has come to ada@example.org: reports, oldest first."""
        account = Accounts(self.store).open(self.ada)
        rows = await account.emails(INBOX_ID, [(1, 2**32)])
        return [row.prefix + await account.content(row) for row in rows]

    def waiting(self) -> int:
        """Recipients that are not settled."""
        [(count,)] = self.rows("SELECT COUNT(*) FROM queue_recipient")
        return int(count)


def memory_folder() -> Path:
    """A folder in memory, where there is one: what is measured is patience, not a disk."""
    parent = Path("/dev/shm")
    return Path(tempfile.mkdtemp(prefix="postillon-", dir=parent if parent.is_dir() else None))


@asynccontextmanager
async def world(
    config: QueueConfig = CONFIG, *, workers: int = 1, seed: int = 7
) -> AsyncIterator[World]:
    """All of it, running. workers: queue runners over the one store."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    folder = memory_folder()
    store = await open_store(folder, owner="w0", clock=loop.clock)
    write = store.write

    def held(*arguments: Any) -> asyncio.Task[Any]:
        task = loop.create_task(write(*arguments))
        loop.hold(task)
        return task

    store.write = held  # type: ignore[method-assign, assignment] # time stands still meanwhile
    logged: list[bytes] = []
    log = Log(logged.append)
    directory, accounts = Directory(store), Accounts(store)
    await directory.create_domain("example.org")
    ada = AccountId((await accounts.create("ada@example.org")).id)
    network = Network(loop.time)
    recipients = Recipients(directory, RouteConfig())
    runners, agents = [], []
    for number in range(workers):
        random = Random(seed * 1_000 + number)
        agent = RemoteAgent(
            NextHops(network, RouteConfig(), hostname="mx.example.org", random=random),
            hostname="mx.example.org", log=log, connect=network.connect,
        )  # fmt: skip
        reporter = Reporter(
            store, recipients, config, hostname="mx.example.org", clock=loop.clock,
            random=random, log=log,
        )  # fmt: skip
        runner = QueueRunner(
            store, agent, reporter, config, clock=loop.clock, random=random, log=log,
            worker=f"w{number}@one", poll_s=POLL_S,
        )  # fmt: skip
        agents.append(agent)
        runners.append(runner)

    def hear(changes: object, topics: object) -> None:
        if "queue" in topics:  # type: ignore[operator]
            for runner in runners:
                runner.wake()

    store.on_commit(hear)
    submitter = Submitter(store, recipients, config, runner=runners[0], clock=loop.clock)
    for runner in runners:
        await runner.start()
    try:
        yield World(loop, network, store, submitter, runners, ada, logged)
    finally:
        for runner in runners:
            await runner.stop()
        for agent in agents:
            await agent.stop()
        await store.close()
        shutil.rmtree(folder)
