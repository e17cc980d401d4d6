"""Postillon beside other mail servers, in one command. Needs root, for namespaces and users.

    python -m benchmarks.peers --quick                # a few minutes
    python -m benchmarks.peers --write-docs           # the whole, into docs/performance.md
    python -m benchmarks.peers --scenarios c20,relay --peers postfix,exim --rounds 5

Other servers come as packages of the distribution, unpacked into a cache and never installed; one
that cannot be had is left out and named. All runs happen in a network that has only loopback.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.peers.aiosmtpd_peer import Aiosmtpd  # noqa: E402
from benchmarks.peers.cell import Cell, machine_busy  # noqa: E402
from benchmarks.peers.exim import Exim  # noqa: E402
from benchmarks.peers.ground import Unavailable, settle_in  # noqa: E402
from benchmarks.peers.opensmtpd import OpenSmtpd  # noqa: E402
from benchmarks.peers.ours import Postillon  # noqa: E402
from benchmarks.peers.peer import Peer, Place  # noqa: E402
from benchmarks.peers.postfix import Postfix, PostfixDovecot  # noqa: E402
from benchmarks.peers.report import tables, write_docs  # noqa: E402
from benchmarks.peers.results import Results, Server  # noqa: E402
from benchmarks.peers.scenarios import QUICK, SCENARIOS, Scenario, measure  # noqa: E402

PEERS: tuple[type[Peer], ...] = (Postillon, Postfix, PostfixDovecot, Exim, OpenSmtpd, Aiosmtpd)


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--quick", action="store_true", help="few scenarios, short runs")
    parser.add_argument("--scenarios", help=",".join(item.key for item in SCENARIOS))
    parser.add_argument("--peers", help=",".join(peer.key for peer in PEERS))
    parser.add_argument("--rounds", type=int, help="runs of each pair (3; quick: 1)")
    parser.add_argument("--seconds", type=float, help="of load in one run (8; quick: 3)")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="of Postillon")
    parser.add_argument("--folder", type=Path, help="where spools and mailboxes lie for the run")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "postillon-peers",
        help="where packages are kept between runs",
    )  # fmt: skip
    parser.add_argument("--save", type=Path, help="file for the results as JSON")
    parser.add_argument("--from", dest="source", type=Path, help="measure nothing, read this JSON")
    parser.add_argument("--write-docs", action="store_true", help="tables and plot into docs/")
    given = parser.parse_args()
    given.rounds = given.rounds or (1 if given.quick else 3)
    given.seconds = given.seconds or (3.0 if given.quick else 8.0)
    return given


def chosen(given: argparse.Namespace) -> tuple[list[Scenario], list[Peer]]:
    keys = given.scenarios.split(",") if given.scenarios else QUICK if given.quick else None
    scenarios = [item for item in SCENARIOS if keys is None or item.key in keys]
    wanted = given.peers.split(",") if given.peers else None
    peers = [kind() for kind in PEERS if wanted is None or kind.key in wanted]
    return scenarios, peers


def machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores ({model}), Linux {platform.release()}, Python"
        f" {platform.python_version()}"
    )


def run(given: argparse.Namespace) -> Results:
    scenarios, peers = chosen(given)
    results = Results(
        machine(),
        datetime.now(UTC).strftime("%d %B %Y, %H:%M UTC"),
        machine_busy(),
        given.seconds,
        scenarios=[(item.key, item.title) for item in scenarios],
    )
    ready: list[Peer] = []
    for peer in peers:
        try:
            peer.prepare(given.cache)
            ready.append(peer)
        except Unavailable as error:
            results.failures[peer.title] = str(error)
    for round_ in range(given.rounds):
        for scenario in scenarios:
            for peer in ready:
                if scenario.relay and not peer.relays:
                    continue
                one(given, results, round_, scenario, peer)
    results.busy |= machine_busy()
    results.servers = [
        Server(peer.key, peer.title, peer.version(), peer.settings) for peer in ready
    ]
    return results


def one(
    given: argparse.Namespace, results: Results, round_: int, scenario: Scenario, peer: Peer
) -> None:
    """One run of one server, its folder and processes gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="postillon-peers-", dir=given.folder))
    folder.chmod(0o755)  # servers drop their privileges
    cell = Cell(peer.key)
    try:
        sample = measure(
            peer, scenario, Place(folder, given.cache, cell, given.workers), given.seconds
        )
    except (Unavailable, OSError, RuntimeError, subprocess.SubprocessError) as error:
        results.failures[f"{peer.title}, {scenario.title}"] = str(error).splitlines()[0]
        print(f"{peer.title}, {scenario.title}: {error}", file=sys.stderr, flush=True)
    else:
        results.add(scenario.key, peer.key, sample)
        print(
            f"{time.strftime('%H:%M:%S')} {round_ + 1} {scenario.key:6} {peer.key:10}"
            f" {sample.rate:8.0f}/s {sample.cpu:8.3f} ms {sample.written:6.1f} x"
            f" {sample.disk or 0:6.1f} x {sample.memory:6.0f} MB p50 {sample.p50:7.1f} ms"
            f" p99 {sample.p99:7.1f} ms {sample.messages:7d}",
            flush=True,
        )
    finally:
        cell.remove()
        shutil.rmtree(folder)


def main() -> None:
    given = options()
    if given.source:
        results = Results.load(given.source)
    else:
        fetches = [partial(peer.prepare, given.cache) for peer in chosen(given)[1]]
        settle_in("benchmarks.peers", given.folder, fetches)
        results = run(given)
    print(tables(results))
    if given.save:
        results.save(given.save)
    if given.write_docs:
        write_docs(results, ROOT / "docs")


if __name__ == "__main__":
    main()
