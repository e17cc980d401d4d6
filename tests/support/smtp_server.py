"""An SMTP server in memory: real directory, accounts and routes, a queue that only keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import Log
from postillon.mail.outcome import Outcome
from postillon.net.stream import Endpoint, Stream
from postillon.queue.config import QueueConfig
from postillon.queue.submit import Accepted, Submission
from postillon.receive.config import SmtpConfig
from postillon.receive.smtp import SmtpServer
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from support.accounts import QUICK, House, house
from support.streams import memory_pair
from support.transcript import StreamTarget

HOST = "mx.example.org"
PASSWORD = "pencil-1"
STRANGER = Endpoint("192.0.2.9", 50_000)
HERE = Endpoint("127.0.0.1", 50_000)


@dataclass
class Keeper:
    """A queue that accepts everything, or does what a test asks."""

    config = QueueConfig()

    kept: list[Submission] = field(default_factory=list)
    outcomes: tuple[Outcome | None, ...] = ()
    error: Exception | None = None

    async def submit(self, submission: Submission) -> Accepted:
        if self.error is not None:
            raise self.error
        self.kept.append(submission)
        count = len(submission.envelope.recipients)
        return Accepted(submission.queue_id, self.outcomes or (None,) * count)


@dataclass
class Post:
    """The server with what stands around it."""

    house: House
    server: SmtpServer
    queue: Keeper
    lines: list[bytes]
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def connect(self, peer: Endpoint = STRANGER, piece: int = 0) -> StreamTarget:
        """A client's end, its greeting unread."""
        near, far = memory_pair(peer)
        self.serve(far)
        return StreamTarget(near, piece)

    def serve(self, stream: Stream) -> None:
        task = asyncio.create_task(self.server.handle(stream))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


@asynccontextmanager
async def post(folder: Path, kind: Any = "mx", **settings: Any) -> AsyncIterator[Post]:
    """ada and bob at example.org, with PASSWORD. `tls` is passed on, the rest is configuration."""
    tls = settings.pop("tls", None)
    settings.setdefault("max_recipients", 100)
    async with house(folder) as home:
        password = await home.credentials.prepare(PASSWORD)
        for name in ("ada", "bob"):
            await home.account(f"{name}@example.org", password=password)
        queue, lines = Keeper(), []
        server = SmtpServer(
            kind,
            SmtpConfig(**settings),
            hostname=HOST,
            directory=home.directory,
            recipients=Recipients(home.directory, RouteConfig()),
            accounts=home.accounts,
            queue=queue,
            spool_folder=folder,
            sign_ins=SignIns(home.credentials, Throttle(QUICK, home.time)),
            tls=tls,
            log=Log(lines.append),
            clock=home.time,
            random=lambda n: bytes(range(n)),
        )
        found = Post(home, server, queue, lines)
        try:
            yield found
        finally:
            for task in found.tasks:
                task.cancel()
            await asyncio.gather(*found.tasks, return_exceptions=True)
