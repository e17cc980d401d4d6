"""Postfix with a backlog: the same questions that `benchmarks.backlog` asks of Postillon.

    python -m benchmarks.peers.backlog --messages 20000 --destinations 200     # root; 10 minutes

Messages enter by SMTP. Transports lead their domains to addresses of 127.1.0.0/16 that refuse every
connection; one of them comes back at the end, as a sink. Backoff and queue runs are set to the same
minute that is the longest wait between probes in `benchmarks.backlog`.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from benchmarks.load import Load, Result, numbered_message  # noqa: E402
from benchmarks.peers.cell import Cell  # noqa: E402
from benchmarks.peers.ground import enter  # noqa: E402
from benchmarks.peers.peer import BOXES, DOMAIN, HOST, SINK_PORT, Place, lines, wait_for  # noqa: E402
from benchmarks.peers.postfix import MAIN, Postfix  # noqa: E402
from benchmarks.peers.sink import Sink  # noqa: E402

BACK = "back.example"  # the destination that returns
BACK_HOST = "127.2.0.1"
WAIT_S = 60  # between tries, at least and at most, and between queue runs
LOOK_S = 2.0


def dead(number: int) -> str:
    return f"d{number}.example"


class Deferring(Postfix):
    """Postfix with routes to nowhere."""

    def __init__(self, destinations: int) -> None:
        self._destinations = destinations

    def files(self) -> Mapping[str, str]:
        routes = [
            f"{dead(n)} smtp:[127.1.{n // 250}.{n % 250 + 1}]:{SINK_PORT}"
            for n in range(self._destinations)
        ]
        kept = "".join(
            line + "\n" for line in MAIN.splitlines() if not line.startswith("relayhost")
        )
        return {
            **super().files(),
            "etc/postfix/main.cf": f"{kept}transport_maps = texthash:/etc/postfix/transport\n"
            f"minimal_backoff_time = {WAIT_S}s\nmaximal_backoff_time = {WAIT_S}s\n"
            f"queue_run_delay = {WAIT_S}s\n",
            "etc/postfix/transport": lines(
                [*routes, f"{BACK} smtp:[{BACK_HOST}]:{SINK_PORT}"],
            ),
        }

    def waiting(self) -> tuple[int, int]:
        """Messages deferred, and those it has in hand."""
        assert self._root is not None
        spool = self._root.folder / "var/spool/postfix"

        def count(*queues: str) -> int:
            return sum(len(files) for queue in queues for _, _, files in os.walk(spool / queue))

        return count("deferred"), count("incoming", "active", "maildrop")

    def restart(self, cell: Cell) -> float:
        """Seconds from its start to its greeting."""
        assert self._root is not None
        self._root.run("postfix", "stop")
        began = time.monotonic()
        with cell.inside():
            self._root.run("postfix", "start")
        wait_for(self.port, self)
        return time.monotonic() - began


def send(peer: Deferring, domains: Sequence[str], size: int, count: int, seconds: float) -> Result:
    """Messages to users of these domains in turn; to our own boxes when there are none."""
    head, _, rest = numbered_message(1, size).partition(b"<load.1@")

    def recipients(number: int) -> list[str]:
        if domains:
            return [f"user{number}@{domains[number % len(domains)]}"]
        return [f"{BOXES[number % len(BOXES)]}@{DOMAIN}"]

    load = Load(
        (HOST, peer.port),
        connections=20,
        recipients=recipients,
        message=lambda n: b"%b<load.%d@%b" % (head, n, rest),
        sender="load@elsewhere.example",
        pipelining=peer.pipelining,
        retry_seconds=0.1,
    )
    return load.run(itertools.islice(itertools.count(1), count), seconds)


def settle(peer: Deferring, longest: float) -> None:
    """Until it has nothing in hand."""
    late = time.monotonic() + longest
    while peer.waiting()[1] and time.monotonic() < late:
        time.sleep(LOOK_S)


def live(peer: Deferring, cell: Cell, seconds: float) -> str:
    """Local deliveries beside whatever else it has to do."""
    before, cpu, began = peer.copies(), cell.cpu(), time.monotonic()
    expected = before + len(send(peer, (), 10_240, 1_000_000, seconds).acknowledged)
    while peer.copies() < expected:
        time.sleep(0.05)
    took, count = time.monotonic() - began, expected - before
    return f"{count / took:,.0f} a second, {(cell.cpu() - cpu) / count * 1000:.2f} ms CPU each"


def drain(peer: Deferring, cell: Cell, returning: int, longest: float) -> str:
    cpu = cell.cpu()
    with Sink(SINK_PORT, BACK_HOST) as sink:
        began = time.monotonic()
        first = last = 0.0
        seen = connections = 0
        while seen < returning and time.monotonic() - began < longest:
            time.sleep(0.2)
            count, connections = sink.count()
            if count > seen:
                seen, last = count, time.monotonic()
                first = first or last
    if not seen:
        return "none of its mail arrived"
    return (
        f"first message after {first - began:.0f} s, {seen:,} of {returning:,},"
        f" {seen / max(last - first, 0.2):,.0f} a second, {connections} connections,"
        f" {(cell.cpu() - cpu) / seen * 1000:.2f} ms CPU per message with all it does"
    )


def measure(peer: Deferring, place: Place, given: argparse.Namespace) -> None:
    cell = place.cell
    peer.start(place)
    print(f"live traffic without a backlog: {live(peer, cell, given.seconds)}", flush=True)
    domains = [dead(n) for n in range(given.destinations)]
    cpu = cell.cpu()
    taken = send(peer, domains, 1_024, given.messages - given.returning, given.patience)
    back = send(peer, [BACK], 1_024, given.returning, given.patience)
    settle(peer, given.patience)
    accepted = len(taken.acknowledged) + len(back.acknowledged)
    print(
        f"deferred: {peer.waiting()[0]:,} of {accepted:,} accepted,"
        f" {(cell.cpu() - cpu) / accepted * 1000:.2f} ms CPU each so far"
    )
    print(f"start: {peer.restart(cell):.2f} s", flush=True)
    settle(peer, given.patience)
    cpu, written = cell.cpu(), cell.written()
    time.sleep(given.idle)
    print(
        f"left alone: {(cell.cpu() - cpu) / given.idle * 100:.1f} % of a core,"
        f" {(cell.written() - written) / 1e6 / given.idle * 60:.1f} MB written a minute,"
        f" {cell.memory() / 1e6:.0f} MB of memory"
    )
    print(f"live traffic beside it: {live(peer, cell, given.seconds)}", flush=True)
    print(f"the destination returns: {drain(peer, cell, given.returning, given.patience)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--destinations", type=int, default=200)
    parser.add_argument("--returning", type=int, default=4_000)
    parser.add_argument("--seconds", type=float, default=8.0, help="of live traffic")
    parser.add_argument("--idle", type=float, default=120.0, help="seconds left alone")
    parser.add_argument("--patience", type=float, default=600.0, help="seconds, for slow phases")
    parser.add_argument("--folder", type=Path, help="where the spool lies for the run")
    parser.add_argument(
        "--cache", type=Path, default=Path(tempfile.gettempdir()) / "postillon-peers"
    )
    given = parser.parse_args()
    peer = Deferring(given.destinations)
    peer.prepare(given.cache)
    enter("benchmarks.peers.backlog", sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started is ended
    folder = Path(tempfile.mkdtemp(prefix="postillon-peers-", dir=given.folder))
    folder.chmod(0o755)  # servers drop their privileges
    place = Place(folder, given.cache, Cell("postfix-backlog"), 1)
    try:
        measure(peer, place, given)
    finally:
        peer.stop(place)
        place.cell.remove()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
