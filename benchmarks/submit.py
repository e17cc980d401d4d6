"""What `queue.submit` costs for one local recipient: CPU and time per message, by station.

    python benchmarks/submit.py [--messages 5000] [--size 10000] [--at-once 20]

Everything runs in this process and no socket is involved. CPU is the process's, with the threads of
the store; the parts below are timed alone, in this thread.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from collections.abc import Callable, Coroutine
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from postillon.account.accounts import Accounts
from postillon.clock import system_clock
from postillon.deliver.local import prepare
from postillon.directory.directory import Directory
from postillon.log import SILENT
from postillon.mail.address import parse_address
from postillon.mail.envelope import Envelope, Recipient
from postillon.mail.mime import scan
from postillon.queue.acceptance import look_up, plan
from postillon.queue.config import QueueConfig
from postillon.queue.ids import new_queue_id
from postillon.queue.submit import Submission, Submitter
from postillon.route.config import RouteConfig
from postillon.route.recipient import Recipients
from postillon.store.config import StoreConfig
from postillon.store.sqlite import open_store

T = TypeVar("T")
BOXES = 100
TRACE = (
    b"Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org with ESMTPS\r\n\tid x;\r\n"
)


def message(size: int) -> bytes:
    head = (
        b"From: Ada <ada@example.net>\r\nTo: box@example.org\r\nSubject: A message\r\n"
        b"Message-ID: <%d@example.net>\r\nDate: Wed, 25 Nov 2026 12:00:00 +0000\r\n\r\n"
    )
    line = b"The quick brown fox jumps over the lazy dog and goes on to the next line.\r\n"
    return head % time.monotonic_ns() + line * ((size - len(head)) // len(line))


def finished(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine returns that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise RuntimeError("it waits")


def each(call: Callable[[], object], times: int = 2_000) -> float:
    """Microseconds of one call."""
    begin = time.process_time_ns()
    for _ in range(times):
        call()
    return (time.process_time_ns() - begin) / times / 1000


async def measure(folder: Path, messages: int, size: int, at_once: int) -> None:
    store = await open_store(folder, StoreConfig(), owner="w0", log=SILENT, clock=system_clock)
    directory, accounts = Directory(store), Accounts(store)
    await directory.create_domain("example.org")
    for number in range(BOXES):
        await accounts.create(f"box{number}@example.org")
    recipients = Recipients(directory, RouteConfig())
    config = QueueConfig()
    submitter = Submitter(store, recipients, config)

    def submission(number: int) -> Submission:
        to = Recipient(parse_address(f"box{number % BOXES}@example.org"))
        envelope = Envelope(parse_address("ada@example.net"), (to,))
        queue_id = new_queue_id(system_clock())
        facts = {"peer": "192.0.2.1", "protocol": "ESMTPS", "helo": "client.example"}
        return Submission(envelope, message(size), TRACE, None, facts, queue_id)

    async def sender(share: int) -> None:
        for number in range(share, messages, at_once):
            await submitter.submit(submission(number))

    await sender(messages - 1)  # one, so that everything is loaded
    cpu, begin = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for share in range(at_once):
            group.create_task(sender(share))
    took, cpu = time.monotonic() - begin, time.process_time() - cpu
    print(f"{messages / took:8.0f} messages/s, {cpu / messages * 1e6:6.0f} us CPU each, durable")
    one = submission(0)
    read = scan(one.content, one.header)
    now = system_clock()
    lookups = await look_up(one, recipients)
    rows = {
        "the benchmark's own message": lambda: submission(0),
        "look up the recipient": lambda: finished(look_up(one, recipients)),
        "plan (all below)": lambda: plan(one, lookups, config, now),
        "  scan": lambda: scan(one.content, one.header),
        "  sha256": lambda: sha256(one.content).digest(),
        "  prepare the copy": lambda: prepare(
            one.content, read, trace=TRACE, reverse_path=None, at=now, queue_id=1
        ),
    }
    for name, call in rows.items():
        print(f"{each(call):8.1f} us  {name}")
    await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=5_000)
    parser.add_argument("--size", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=20)
    given = parser.parse_args()
    with TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), given.messages, given.size, given.at_once))


if __name__ == "__main__":
    main()
