"""The floor under a delivered message: what each part costs alone, and what rate is left to reach.

    python -m benchmarks.floor                    # 10 KB; a minute
    python -m benchmarks.floor --goal 3300        # what a message may cost for so many a second

The load generator shares the cores with the server, so it is measured first, against a server that only
answers (`benchmarks.peers.sink`). Then the store alone, by the number of operations that wait at the
same time: one row, one row with the message in the pack, and all of a delivery (`queue.submit`), each
durable. CPU is that of the process with its threads, in microseconds per message.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.deliver import usage  # noqa: E402
from benchmarks.load import Load, numbered_message  # noqa: E402
from benchmarks.peers.sink import HOST, Sink  # noqa: E402
from benchmarks.smtp_engine import message, transactions  # noqa: E402
from postillon.account.accounts import Accounts  # noqa: E402
from postillon.directory.directory import Directory  # noqa: E402
from postillon.mail.address import parse_address  # noqa: E402
from postillon.mail.envelope import Envelope, Recipient  # noqa: E402
from postillon.queue.acceptance import look_up, plan  # noqa: E402
from postillon.queue.config import QueueConfig  # noqa: E402
from postillon.queue.ids import new_queue_id  # noqa: E402
from postillon.queue.submit import Submission, Submitter  # noqa: E402
from postillon.route.config import RouteConfig  # noqa: E402
from postillon.route.recipient import Recipients  # noqa: E402
from postillon.store.operation import Brief, NewBlob, Steps, Tx  # noqa: E402
from postillon.store.sqlite import SqliteStore, open_store  # noqa: E402
from support.server import free_ports  # noqa: E402

BOXES = 100
TRACE = b"Received: from client.example ([192.0.2.1])\r\n\tby mx.example.org with ESMTP;\r\n"
AT_ONCE = (1, 5, 10, 20, 100)
Write = Callable[[int], Awaitable[object]]


def generator(given: argparse.Namespace) -> tuple[float, float, float]:
    """Messages a second against a server that only answers; CPU us each of generator and server."""
    [port] = free_ports(1)
    head, _, rest = numbered_message(1, given.size).partition(b"<load.1@")
    with Sink(port) as sink:
        load = Load(
            (HOST, port),
            connections=given.connections,
            recipients=lambda n: [f"box{n % BOXES}@example.org"],
            message=lambda n: b"%b<load.%d@%b" % (head, n, rest),
        )
        server, own = usage(sink.pid)[0], time.process_time()
        result = load.run(range(given.messages))
        own, server = time.process_time() - own, usage(sink.pid)[0] - server
    count = len(result.acknowledged)
    return count / result.seconds, own / count * 1e6, server / count * 1e6


def one_row(tx: Tx) -> Steps[None]:
    yield "UPDATE account SET used = used + 1 WHERE account = 1", ()


async def cost(write: Write, count: int, at_once: int) -> tuple[float, float]:
    """CPU us for each of `count` writes, so many waiting at the same time; how many a second."""
    numbers = iter(range(count))

    async def some() -> None:
        for number in numbers:
            await write(number)

    cpu, began = time.process_time(), time.monotonic()
    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(some())
    return (time.process_time() - cpu) / count * 1e6, count / (time.monotonic() - began)


class Writes:
    """The three ways of writing, on one store."""

    def __init__(self, store: SqliteStore, recipients: Recipients, size: int) -> None:
        self._store = store
        self._recipients = recipients
        self._submitter = Submitter(store, recipients, QueueConfig())
        self._head, _, self._rest = numbered_message(1, size).partition(b"<load.1@")

    def content(self, number: int) -> bytes:
        return b"%b<load.%d@%b" % (self._head, number, self._rest)

    def submission(self, number: int) -> Submission:
        to = Recipient(parse_address(f"box{number % BOXES}@example.org"))
        envelope = Envelope(parse_address("ada@elsewhere.example"), (to,))
        now = time.time_ns() // 1_000_000
        return Submission(envelope, self.content(number), TRACE, None, {}, new_queue_id(now))

    async def row(self, number: int) -> object:
        return await self._store.write(Brief(one_row))

    async def row_and_octets(self, number: int) -> object:
        return await self._store.write(Brief(one_row), NewBlob(self.content(number)))

    async def delivery(self, number: int) -> object:
        return await self._submitter.submit(self.submission(number))

    async def planning(self, count: int) -> float:
        """CPU us of what a delivery does before its transaction."""
        config = QueueConfig()
        cpu = time.process_time()
        for number in range(count):
            one = self.submission(number)
            plan(one, await look_up(one, self._recipients), config, 0)
        return (time.process_time() - cpu) / count * 1e6


async def store_alone(folder: Path, given: argparse.Namespace) -> None:
    store = await open_store(folder, owner="w0")
    try:
        directory, accounts = Directory(store), Accounts(store)
        await directory.create_domain("example.org")
        for number in range(BOXES):
            await accounts.create(f"box{number}@example.org")
        writes = Writes(store, Recipients(directory, RouteConfig()), given.size)
        for number in range(BOXES):
            await writes.delivery(number)
        print(f"{await writes.planning(given.messages // 2):8.0f}  look-up and planning")
        print("\nwaiting at once     a row   and the pack   a delivery   deliveries a second")
        for at_once in AT_ONCE:
            count = min(given.messages, 200 + 400 * at_once)
            ways: Sequence[Write] = (writes.row, writes.row_and_octets, writes.delivery)
            found = [await cost(way, count, at_once) for way in ways]
            row, octets, delivery = (cpu for cpu, _ in found)
            print(
                f"{at_once:15d} {row:9.0f} {octets:14.0f} {delivery:12.0f} {found[-1][1]:21,.0f}",
                flush=True,
            )
    finally:
        await store.close()


def left(rate: float, own: float, goal: int) -> None:
    """What the generator leaves to the server on this machine."""
    cores = os.cpu_count() or 1
    most = min(1e6 / own, rate)
    print(f"\nWith a server that costs nothing the generator sends {most:,.0f} a second.")
    budget = cores / goal * 1e6 - own
    print(f"For {goal:,} a second on {cores} cores that are never idle a message may cost")
    print(f"{budget:.0f} us of CPU.")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--size", type=int, default=10_240)
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--goal", type=int, default=3_300, help="messages a second")
    parser.add_argument("--folder", type=Path, help="where the store lies for the run")
    given = parser.parse_args()
    rate, own, answering = generator(given)
    print("CPU us per message")
    print(f"{own:8.0f}  the load generator, {rate:,.0f} messages a second")
    print(f"{answering:8.0f}  a server that only answers: sockets and loop")
    engine = min(transactions(2_000, message(given.size), True) for _ in range(3))
    print(f"{engine:8.0f}  the SMTP engine, without a connection")
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        asyncio.run(store_alone(Path(folder), given))
    left(rate, own, given.goal)


if __name__ == "__main__":
    main()
