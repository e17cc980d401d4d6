"""A relays to B, and both are killed with -9 under load: A, or B, or both at once.

In the end every message that A has acknowledged is in B's mailboxes, none is corrupt, and A's queue is
empty. A message is there twice only where SMTP itself cannot tell: B had taken it, and one of the two
was killed before A had settled it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections import defaultdict
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.load import Load, Result
from postillon.queue.ids import QueueId, format_queue_id
from postillon.store.operation import Steps
from support.dns import Zone
from support.name_server import name_server
from support.numbered import BOXES, Copy, copies, message_of, recipients_of
from support.server import LOGINS, Server

DOMAIN = BOXES[0].partition("@")[2]
EXCHANGER = "mx.b.example"
CONNECTIONS = 6
DRAINED_S = 300.0  # real time until A's queue must be empty; seconds are enough on a quiet machine
CLOCK_SLACK_S = 0.25  # between a commit and the line in the log that tells of it
QUICK = (
    'shortest_wait = "500ms"\nlongest_wait = "1s"\n'
    'shortest_probe = "300ms"\nlongest_probe = "500ms"'
)
VICTIMS = ("A", "B", "AB")


class Pair:
    """The two servers, and when which of them was killed."""

    def __init__(self, folder: Path, resolver: str, workers: int) -> None:
        self.b = Server(folder / "b", workers=workers, logins=BOXES)
        self.a = Server(
            folder / "a",
            workers=workers,
            logins=LOGINS,
            settings={
                "route": f'routes = ["{DOMAIN} mx"]\nallow_loopback_mx = true\n'
                f"port = {self.b.port('smtp')}",
                "resolver": f'servers = ["{resolver}"]\nuse_ipv6 = false',
                "queue": QUICK,
            },
        )
        self.kills: list[float] = []  # seconds since 1970

    def start(self) -> None:
        for server in (self.a, self.b):
            if server.process is None or server.process.poll() is not None:
                server.start()

    def kill(self, victims: str) -> None:
        self.kills.append(time.time())
        if "A" in victims:
            self.a.kill()
        if "B" in victims:
            self.b.kill()

    def waiting(self) -> int:
        """How many recipients wait in A's queue, asked beside the running server."""

        def steps() -> Steps[int]:
            rows = yield "SELECT count(*) FROM queue_recipient", ()
            return int(rows[0][0])

        return asyncio.run(self.a.ask(lambda store: store.read_apart(steps())))

    def settled(self) -> dict[bytes, int]:
        """How often A's trace says of a message that a recipient was relayed, by queue id."""

        def steps() -> Steps[list[tuple[QueueId, int]]]:
            rows = yield (
                "SELECT queue_id, count(*) FROM trace_event WHERE kind = 'relayed'"
                " GROUP BY queue_id",
                (),
            )
            return [(QueueId(row[0]), int(row[1])) for row in rows]

        found = asyncio.run(self.a.ask(lambda store: store.read_apart(steps())))
        return {format_queue_id(queue_id).encode(): times for queue_id, times in found}

    def taken(self) -> dict[bytes, float]:
        """When B took a message, by B's queue id; one it was killed over is missing."""
        found = {}
        for line in self.b.log().splitlines():
            with contextlib.suppress(ValueError):  # the line it was killed over
                fields = json.loads(line)
                if fields["event"] == "accepted":
                    at = datetime.fromisoformat(fields["at"]).timestamp()
                    found[fields["queue_id"].encode()] = at
        return found


def load_until(pair: Pair, numbers: range, moment: float, victims: str) -> Result:
    """Load A; kill after `moment` seconds. Where A survives, B comes back while A is under load."""
    enough = threading.Event()
    load = Load(
        ("127.0.0.1", pair.a.port("smtp")),
        connections=CONNECTIONS,
        recipients=recipients_of,
        message=message_of,
        stop=enough.is_set,
        retry_seconds=0.05,
    )

    def strike() -> None:
        time.sleep(moment)
        pair.kill(victims)
        if victims == "B":
            pair.b.start()
        enough.set()

    killer = threading.Thread(target=strike)
    killer.start()
    result = load.run(numbers)
    killer.join()
    return result


def wait_until_drained(pair: Pair) -> None:
    began = time.monotonic()
    while pair.waiting():
        assert time.monotonic() - began < DRAINED_S, f"{pair.waiting()} still wait in A's queue"
        time.sleep(0.2)


def check(pair: Pair, acknowledged: set[int], unknown: set[int]) -> int:
    """Compare B's mailboxes with what A acknowledged. Returns how many copies were duplicates."""
    found: dict[tuple[int, str], list[Copy]] = defaultdict(list)
    for box in BOXES:
        for copy in copies(pair.b, box):
            assert copy.whole, f"message {copy.number} in {box} is corrupt"
            found[copy.number, box].append(copy)
    due = {(number, box) for number in acknowledged for box in recipients_of(number)}
    maybe = {(number, box) for number in unknown for box in recipients_of(number)}
    lost = due - found.keys()
    assert not lost, f"{len(lost)} lost: {sorted(lost)[:10]}"
    strange = found.keys() - due - maybe
    assert not strange, f"nobody sent {sorted(strange)[:10]}"
    twice = {key: several for key, several in found.items() if len(several) > 1}
    taken, settled = pair.taken(), pair.settled()
    for (number, box), several in twice.items():
        check_duplicate(pair, number, box, several, taken, settled)
    return sum(len(several) - 1 for several in twice.values())


def check_duplicate(
    pair: Pair,
    number: int,
    box: str,
    several: list[Copy],
    taken: dict[bytes, float],
    settled: dict[bytes, int],
) -> None:
    ids_of_a = {copy.ids[1] for copy in several}
    assert len(ids_of_a) == 1, f"A has accepted {number} twice: {ids_of_a}"
    assert settled[ids_of_a.pop()] == len(recipients_of(number)), "settled, and sent once more"
    times = sorted(taken[copy.ids[0]] for copy in several if copy.ids[0] in taken)
    for first, second in pairwise(times):
        between = [at for at in pair.kills if first - CLOCK_SLACK_S < at < second + CLOCK_SLACK_S]
        assert between, f"{number} came to {box} twice and nobody had been killed: {first} {second}"


def survive(folder: Path, *, kills: int, workers: int, seed: int) -> tuple[int, int]:
    """Returns how many messages were acknowledged, and how many copies are duplicates."""
    dice = random.Random(seed)
    zone = Zone({(DOMAIN, "MX"): [f"10 {EXCHANGER}."], (EXCHANGER, "A"): ["127.0.0.1"]})
    acknowledged: set[int] = set()
    unknown: set[int] = set()
    with name_server(zone) as resolver:
        pair = Pair(folder, resolver, workers)
        asyncio.run(pair.a.split(DOMAIN))
        try:
            for number in range(kills):
                pair.start()
                first = max([0, *acknowledged, *unknown]) + 1
                moment = dice.uniform(0.05, 0.5)
                result = load_until(
                    pair, range(first, first + 100_000), moment, VICTIMS[number % len(VICTIMS)]
                )
                assert not result.refused, result.refused[:3]
                acknowledged |= set(result.acknowledged)
                unknown |= set(result.unknown)
            pair.start()
            wait_until_drained(pair)
            duplicates = check(pair, acknowledged, unknown)
            for server in (pair.a, pair.b):
                assert server.stop() == 0
                assert server.findings() == []
        finally:
            pair.kill("AB")
    return len(acknowledged), duplicates


@pytest.mark.timeout(400)
def test_what_a_has_acknowledged_reaches_b_whoever_is_killed(tmp_path: Path) -> None:
    acknowledged, _ = survive(tmp_path, kills=3, workers=1, seed=3)
    assert acknowledged > 0


@pytest.mark.torture
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("workers", [1, 2])
def test_what_a_has_acknowledged_reaches_b_in_thirty_kills(tmp_path: Path, workers: int) -> None:
    for part in range(3):
        acknowledged, duplicates = survive(
            tmp_path / str(part), kills=10, workers=workers, seed=30 * workers + part
        )
        assert acknowledged > 0
        print(f"{acknowledged} acknowledged, {duplicates} copies twice")
