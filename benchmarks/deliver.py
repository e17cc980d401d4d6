"""Durable delivery: messages per second, CPU per message, octets written per octet of mail.

    python benchmarks/deliver.py      # 10 KB, 20 connections, 100 mailboxes; 1 and 2 workers
    python benchmarks/deliver.py --connections 200 --size 2000 --workers 2
    python benchmarks/deliver.py --database postgresql     # a PostgreSQL of its own, durable

Starts a real server (`postillon serve`) in a folder of its own, makes the accounts, sends numbered
messages over loopback, then counts in the store what was acknowledged. CPU is that of the whole
process tree by the kernel's accounting; octets written are those of `/proc/PID/io`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.load import Load, Result, numbered_message  # noqa: E402
from support import postgres  # noqa: E402
from support.server import Server  # noqa: E402

TICK = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """The process and all its descendants."""
    found, todo = [], [pid]
    while todo:
        found.append(todo.pop())
        for task in Path(f"/proc/{found[-1]}/task").glob("*/children"):
            todo += [int(child) for child in task.read_text().split()]
    return found


def usage(*pids: int) -> tuple[float, int]:
    """CPU seconds and octets sent to the disk by process trees."""
    cpu, written = 0.0, 0
    for process in [process for pid in pids for process in tree(pid)]:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        cpu += sum(int(field) for field in fields[11:15]) / TICK
        for line in Path(f"/proc/{process}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                written += int(line.split()[1])
    return cpu, written


def send(server: Server, options: argparse.Namespace, numbers: range, run: str) -> Result:
    boxes = [f"box{n}@example.org" for n in range(options.mailboxes)]
    sample = numbered_message(1, options.size, run)
    load = Load(
        ("127.0.0.1", server.port("smtp")),
        connections=options.connections,
        recipients=lambda n: [boxes[n % len(boxes)]],
        message=(lambda n: numbered_message(n, options.size, run))
        if options.distinct
        else (lambda n: sample.replace(b"load.1@", b"load.%d@" % n)),
        sender="load@elsewhere.example",
        pipelining=not options.no_pipelining,
    )
    return load.run(numbers)


@contextmanager
def database(kind: str) -> Iterator[tuple[dict[str, str], list[int]]]:
    """Settings for the server, and the processes to count beside its own."""
    if kind == "sqlite":
        yield {}, []
        return
    cluster = postgres.new_cluster(durable=True)
    try:
        assert cluster.process is not None
        yield {"store": f'database = "{cluster.url(cluster.create())}"'}, [cluster.process.pid]
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)


def measure(workers: int, options: argparse.Namespace) -> dict[str, float]:
    with (
        tempfile.TemporaryDirectory(prefix="postillon-bench-", dir=options.folder) as folder,
        database(options.database) as (settings, others),
    ):
        accounts = [f"box{n}@example.org" for n in range(options.mailboxes)]
        with Server(
            Path(folder), workers=workers, logins=accounts, log_level=None, settings=settings
        ) as server:
            send(server, options, range(1, 1 + options.messages // 10), "warm")
            before_cpu, before_written = usage(server.process.pid, *others)
            result = send(server, options, range(10_000_000, 10_000_000 + options.messages), "load")
            time.sleep(0.5)
            after_cpu, after_written = usage(server.process.pid, *others)
            count = len(result.acknowledged)
            expected = count + options.messages // 10
            stored = server.emails()
            if stored != expected:
                raise SystemExit(f"acknowledged {expected} messages, stored {stored}")
            octets = count * len(numbered_message(1, options.size))
            latencies = sorted(result.latencies)
            return {
                "rate": count / result.seconds,
                "cpu": (after_cpu - before_cpu) / count * 1000,
                "written": (after_written - before_written) / octets,
                "p50": statistics.median(latencies) * 1000,
                "p99": latencies[int(len(latencies) * 0.99)] * 1000,
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", default="1,2", help="numbers of workers to try, comma between")
    parser.add_argument("--connections", type=int, default=20)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--size", type=int, default=10_240, help="octets of a message")
    parser.add_argument("--mailboxes", type=int, default=100)
    parser.add_argument("--repeat", type=int, default=3, help="runs; the median is printed")
    parser.add_argument("--folder", default=None, help="where the server's data lies for the run")
    parser.add_argument("--database", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument(
        "--distinct", action="store_true", help="make every body anew (slower load)"
    )
    options = parser.parse_args()
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    print(
        f"Postillon {commit}, Python {sys.version.split()[0]}, {os.cpu_count()} cores;"
        f" {options.messages} messages of {options.size} octets, {options.connections} connections,"
        f" {options.mailboxes} mailboxes; {options.database}; median of {options.repeat}"
    )
    print("workers  msg/s  CPU ms/msg  written/octet  p50 ms  p99 ms")
    for workers in (int(text) for text in options.workers.split(",")):
        runs = [measure(workers, options) for _ in range(options.repeat)]
        median = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
        print(
            f"{workers:7d} {median['rate']:6.0f} {median['cpu']:11.3f} {median['written']:14.2f}"
            f" {median['p50']:7.1f} {median['p99']:7.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
