"""A long backlog of deferred mail: what it costs a server that lives on, and how it drains.

    python -m benchmarks.backlog --messages 20000 --destinations 200     # minutes
    python -m benchmarks.backlog --write-docs                            # 1,000,000

Two real servers run side by side, one with the backlog and one without, so that each figure has its
control under the same conditions. The backlog enters through `queue.submit`. Its destinations are
domains of a DNS server on loopback whose hosts (127.1.0.0/16) refuse every connection; one of them
comes back at the end, as a sink.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import shutil
import signal
import sqlite3
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.deliver import tree, usage  # noqa: E402
from benchmarks.load import Load, numbered_message  # noqa: E402
from benchmarks.page import put_between  # noqa: E402
from benchmarks.peers.cell import machine_busy, memory  # noqa: E402
from benchmarks.peers.sink import Sink  # noqa: E402
from postillon.directory.directory import Directory  # noqa: E402
from postillon.mail.address import parse_address  # noqa: E402
from postillon.mail.envelope import Envelope, Recipient  # noqa: E402
from postillon.queue.config import QueueConfig  # noqa: E402
from postillon.queue.ids import new_queue_id  # noqa: E402
from postillon.queue.submit import Submission, Submitter  # noqa: E402
from postillon.route.config import RouteConfig  # noqa: E402
from postillon.route.recipient import Recipients  # noqa: E402
from postillon.store.checkpoint import checkpoint  # noqa: E402
from postillon.store.config import StoreConfig  # noqa: E402
from postillon.store.database import NAME  # noqa: E402
from postillon.store.sqlite import open_store  # noqa: E402
from support.dns import Zone, serving  # noqa: E402
from support.server import Server, free_ports  # noqa: E402

BACK = "back.example"  # the destination that returns
BACK_HOST = "127.2.0.1"
BOXES = [f"box{n}@example.org" for n in range(100)]
SENDER = parse_address("ada@elsewhere.example")
TRACE = b"Received: from client.example ([192.0.2.1])\r\n\tby mail.example.org with ESMTPS;\r\n"
AT_ONCE = 4_000  # submissions under way while the queue is filled
AGE_MS = 3_600_000  # the backlog was accepted over the last hour: no notices are owed yet
QUIET = 0.1  # of a core: below it the server counts as settled
LOOK_S = 5.0
BEGIN = "<!-- python -m benchmarks.backlog --write-docs writes from here -->"
END = "<!-- this far -->"


@dataclass(slots=True)
class Row:
    """A line of the table: what, with the backlog, without it."""

    what: str
    with_backlog: str
    without: str = ""


def zone(destinations: int) -> Zone:
    """Each domain with a mail host of its own, and each host with an address of its own."""
    records: dict[tuple[str, str], list[str]] = {}
    for number in range(destinations):
        name = dead(number)
        records[name, "MX"] = [f"10 mx.{name}."]
        records[f"mx.{name}", "A"] = [f"127.1.{number // 250}.{number % 250 + 1}"]
    records[BACK, "MX"] = [f"10 mx.{BACK}."]
    records[f"mx.{BACK}", "A"] = [BACK_HOST]
    return Zone(records)


def dead(number: int) -> str:
    return f"d{number}.example"


@contextmanager
def answering(zone: Zone) -> Iterator[str]:
    """The DNS server in a thread; gives its address and port."""
    started: list[str] = []
    ready, over = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(zone) as where:
            started.append(where)
            ready.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),), daemon=True)
    thread.start()
    ready.wait()
    try:
        yield started[0]
    finally:
        over.set()
        thread.join()


async def fill(data: Path, given: argparse.Namespace) -> float:
    """Accept the backlog; nobody begins with it. Returns the seconds it took."""
    config = StoreConfig(batch_operations=AT_ONCE)
    store = await open_store(data, config, owner="w0")
    submitter = Submitter(store, Recipients(Directory(store), RouteConfig()), QueueConfig())
    began, first = time.monotonic(), round(time.time() * 1000) - AGE_MS
    returning = max(1, given.messages // given.returning)
    numbers = iter(range(given.messages))

    async def submit_some() -> None:
        for number in numbers:
            line = (number + number // returning) % given.destinations  # each gets its share
            domain = BACK if number % returning == 0 else dead(line)
            recipient = parse_address(f"user{number}@{domain}")
            await submitter.submit(
                Submission(
                    Envelope(SENDER, (Recipient(recipient),)),
                    numbered_message(number, given.size, "backlog"),
                    TRACE,
                    None,
                    {"peer": "192.0.2.1", "protocol": "ESMTPS", "helo": "client.example"},
                    new_queue_id(first + number * AGE_MS // given.messages),
                )
            )
            if number % 100_000 == 99_999:
                print(f"  {number + 1:,} accepted, {time.monotonic() - began:.0f} s", flush=True)

    async def keep_house() -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            await checkpoint(store)

    try:
        house = asyncio.create_task(keep_house())
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(submit_some())
        house.cancel()
        await checkpoint(store, force=True)
    finally:
        await store.close()
    return time.monotonic() - began


def make(folder: Path, given: argparse.Namespace, dns: str, port: int) -> Server:
    return Server(
        folder,
        workers=given.workers,
        logins=BOXES,
        settings={
            "route": f"port = {port}\nallow_loopback_mx = true\n",
            "resolver": f'servers = ["{dns}"]\nuse_ipv6 = false\n',
            "queue": f'longest_probe = "{given.longest_probe}s"\n',
        },
        protocols=("smtp",),
        log_level=None,
    )


def start(server: Server) -> float:
    """Seconds until every process serves."""
    began = time.monotonic()
    server.start()
    return time.monotonic() - began


def settle(server: Server, longest: float) -> tuple[float, float]:
    """Wait until nothing is due and its CPU is quiet. Returns seconds and CPU seconds it took."""
    began, (cpu, _) = time.monotonic(), spent(server)
    last = cpu
    while time.monotonic() - began < longest:
        time.sleep(LOOK_S)
        now, _ = spent(server)
        if now - last < QUIET * LOOK_S and not due(server):
            break
        last = now
    return time.monotonic() - began, spent(server)[0] - cpu


def due(server: Server) -> bool:
    """Whether a recipient waits that could be tried at once."""
    with closing(sqlite3.connect(f"file:{server.data / NAME}?mode=ro", uri=True)) as reader:
        found = reader.execute(
            "SELECT 1 FROM queue_recipient WHERE state = 'waiting' AND lane IN (0, 1, 2)"
            " AND due_at <= ? LIMIT 1",
            (round(time.time() * 1000) - 1_000,),
        )
        return found.fetchone() is not None


def spent(server: Server) -> tuple[float, int]:
    """CPU seconds and octets written so far."""
    assert server.process is not None
    return usage(server.process.pid)


def resident(server: Server, kind: str = "Pss") -> float:
    """MB of all its processes."""
    assert server.process is not None
    return memory(tree(server.process.pid), kind) / 1e6


def memories(when: str, servers: Sequence[Server]) -> list[Row]:
    kinds = (("Pss", "Memory"), ("Pss_Anon", "without the pages of the database that are mapped"))
    return [
        Row(f"{what}{when}", *(f"{resident(server, kind):.0f} MB" for server in servers))
        for kind, what in kinds
    ]


def idle(servers: list[Server], seconds: float) -> list[tuple[float, float]]:
    """CPU in percent of a core and MB written per minute, of each, left alone together."""
    before = [spent(server) for server in servers]
    time.sleep(seconds)
    after = [spent(server) for server in servers]
    return [
        ((now[0] - then[0]) / seconds * 100, (now[1] - then[1]) / 1e6 / seconds * 60)
        for then, now in zip(before, after, strict=True)
    ]


def live(server: Server, run: str, seconds: float) -> tuple[float, float, float]:
    """Local deliveries a second, CPU ms each, p99 ms from end of content to 250."""
    head, _, rest = numbered_message(1, 10_240, run).partition(b".1@")
    load = Load(
        ("127.0.0.1", server.port("smtp")),
        connections=20,
        recipients=lambda n: [BOXES[n % len(BOXES)]],
        message=lambda n: b"%b.%d@%b" % (head, n, rest),
        sender="load@elsewhere.example",
    )
    cpu, _ = spent(server)
    result = load.run(itertools.count(1), seconds)
    count = len(result.acknowledged)
    used = (spent(server)[0] - cpu) / count * 1000
    return count / result.seconds, used, sorted(result.latencies)[int(count * 0.99)] * 1000


def drain(server: Server, given: argparse.Namespace, port: int) -> list[Row]:
    """The destination comes back. Its mail, until all of it has arrived or patience ends."""
    before, _ = spent(server)
    with Sink(port, BACK_HOST) as sink:
        began = time.monotonic()
        first = last = 0.0
        seen = 0
        while seen < given.returning and time.monotonic() - began < given.patience:
            time.sleep(0.2)
            count, connections = sink.count()
            if count > seen:
                seen, last = count, time.monotonic()
                first = first or last
    cpu = spent(server)[0] - before
    if not seen:
        return [Row("Mail of the destination that returns", "none arrived")]
    return [
        Row("The destination returns: until its first message", f"{first - began:.0f} s"),
        Row("its mail", f"{seen:,} of {given.returning:,}, {connections} connections"),
        Row("messages a second", f"{seen / max(last - first, 0.2):,.0f}"),
        Row("CPU per message, all that the server does", f"{cpu / seen * 1000:.2f} ms"),
    ]


def measure(folder: Path, given: argparse.Namespace) -> list[Row]:
    [port] = free_ports(1)
    with answering(zone(given.destinations)) as dns, ExitStack() as running:
        full = make(folder / "full", given, dns, port)
        took = asyncio.run(fill(full.data, given))
        rows = said(
            [Row("Accepted through queue.submit, a second", f"{given.messages / took:,.0f}")]
        )
        empty = make(folder / "empty", given, dns, port)
        for server in (full, empty):
            running.callback(server.kill)
        first = start(full)
        rows += said([Row("First start, everything due at once", f"{first:.1f} s")])
        busy, cpu = settle(full, given.patience)
        rows += said([Row("until it is quiet", f"{busy:.0f} s, {cpu:.0f} s of CPU")])
        rows += said(between(full, empty, given))
        rows += said(drain(full, given, port))
        full.stop()
        empty.stop()
        return rows


def between(full: Server, empty: Server, given: argparse.Namespace) -> list[Row]:
    """What can be compared: start, memory, idleness, live traffic. Both run afterwards."""
    full.stop()
    starts: list[list[float]] = [[], []]
    for round_ in range(given.rounds):
        for times, server in zip(starts, (full, empty), strict=True):
            times.append(start(server))
            if round_ < given.rounds - 1:
                server.stop()
    settle(full, given.patience)
    rows = [Row("Start", *(f"{statistics.median(times):.2f} s" for times in starts))]
    calm = idle([full, empty], given.idle)
    rows.append(Row("Left alone: CPU, of a core", *(f"{cpu:.1f} %" for cpu, _ in calm)))
    rows.append(Row("written", *(f"{octets:.1f} MB a minute" for _, octets in calm)))
    rows += memories("", (full, empty))
    runs: list[list[tuple[float, float, float]]] = [[], []]
    for round_ in range(given.rounds):
        for found, server in zip(runs, (full, empty), strict=True):
            found.append(live(server, f"run{round_}", given.seconds))
    for at, what, form in (
        (0, "Live traffic beside it, 10 KB, 20 connections: a second", "{:,.0f}"),
        (1, "CPU per message", "{:.2f} ms"),
        (2, "p99 to 250", "{:.0f} ms"),
    ):
        rows.append(
            Row(what, *(form.format(statistics.median(run[at] for run in found)) for found in runs))
        )
    rows += memories(" then", (full, empty))
    return rows


def said(rows: list[Row]) -> list[Row]:
    """The same rows, printed: a long run shows how far it is."""
    for row in rows:
        print(f"{time.strftime('%H:%M:%S')} {row.what}: {row.with_backlog}; {row.without}")
    sys.stdout.flush()
    return rows


def table(rows: list[Row], given: argparse.Namespace, busy: bool) -> str:
    head = (
        f"Taken {datetime.now(UTC):%d %B %Y}: {given.messages:,} messages of {given.size:,} octets"
        f" to {given.destinations:,} destinations that refuse connections and one that returns,"
        f" {given.workers} workers, `queue.longest_probe` {given.longest_probe} s."
    )
    if busy:
        head += " **Other programs were running meanwhile.**"
    lines = [f"| {row.what} | {row.with_backlog} | {row.without} |" for row in rows]
    return "\n".join([head, "", "| | With | Without |", "| --- | --- | --- |", *lines])


def write_docs(text: str) -> None:
    put_between(ROOT / "docs", BEGIN, END, text)


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--messages", type=int, default=1_000_000)
    parser.add_argument("--destinations", type=int, default=1_000, help="that stay dead")
    parser.add_argument("--returning", type=int, default=50_000, help="messages for the other one")
    parser.add_argument("--size", type=int, default=1_024, help="octets of a message")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    parser.add_argument("--longest-probe", type=int, default=60, help="seconds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0, help="of live traffic in one run")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds left alone")
    parser.add_argument("--patience", type=float, default=900.0, help="seconds, for slow phases")
    parser.add_argument("--folder", type=Path, help="where the data lie for the run")
    parser.add_argument("--write-docs", action="store_true", help="the table into docs/")
    given = parser.parse_args()
    given.returning = min(given.returning, given.messages // 2)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    busy = machine_busy()
    folder = Path(tempfile.mkdtemp(prefix="postillon-backlog-", dir=given.folder))
    try:
        text = table(measure(folder, given), given, busy)
    finally:
        shutil.rmtree(folder)
    print(text)
    if given.write_docs:
        write_docs(text)


if __name__ == "__main__":
    main()
