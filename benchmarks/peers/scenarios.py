"""What is asked of every server, and how one run of it is measured."""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks.load import Load, Result, numbered_message
from benchmarks.peers.cell import disk
from benchmarks.peers.ground import Unavailable
from benchmarks.peers.peer import BOXES, DOMAIN, ELSEWHERE, HOST, SINK_PORT, Peer, Place
from benchmarks.peers.sink import Sink

WARM_S = 1.0
ARRIVAL_S = 180.0  # for what was accepted to be in its mailboxes
AFTERWARDS_S = 0.5  # for work put off until after the load; it counts
KB = 1024


@dataclass(frozen=True, slots=True)
class Scenario:
    """A load. `size` in octets; each message has `recipients`, all on this server or all elsewhere."""

    key: str
    title: str
    connections: int = 20
    size: int = 10 * KB
    recipients: int = 1
    relay: bool = False

    def envelope(self, number: int) -> list[str]:
        if self.relay:
            return [f"user{n}@{ELSEWHERE}" for n in range(self.recipients)]
        first = number * self.recipients
        return [f"{BOXES[(first + n) % len(BOXES)]}@{DOMAIN}" for n in range(self.recipients)]


SCENARIOS = (
    Scenario("c1", "10 KB, 1 connection", connections=1),
    Scenario("c20", "10 KB, 20 connections"),
    Scenario("c200", "10 KB, 200 connections", connections=200),
    Scenario("s1k", "1 KB, 20 connections", size=KB),
    Scenario("s100k", "100 KB, 20 connections", size=100 * KB),
    Scenario("s5m", "5 MB, 20 connections", size=5 * KB * KB),
    Scenario("r50", "10 KB to 50 recipients, 20 connections", recipients=50),
    Scenario("relay", "10 KB relayed, 20 connections", relay=True),
)
QUICK = ("c1", "c20", "r50", "relay")


@dataclass(frozen=True, slots=True)
class Sample:
    """One run. Figures per message; a message to 50 recipients is one message."""

    rate: float  # messages a second, from the first command to the last copy in its mailbox
    accepted: float  # messages a second that had their 250 while the load ran
    cpu: float  # ms per message, of all processes of the server
    written: float  # octets per octet of mail, files as the processes change them
    disk: float | None  # octets per octet of mail that reached the disk, by everybody
    memory: float  # MB at its highest
    p50: float  # ms from the end of content to the reply
    p99: float
    messages: int
    connections: int = 0  # to the sink, where mail is relayed


@dataclass(slots=True)
class Counter:
    """Where messages of a scenario arrive."""

    peer: Peer
    scenario: Scenario
    sink: Sink
    base: int = 0
    expected: int = field(default=0)

    def arrived(self) -> int:
        """Whole messages, taking all copies together."""
        if self.scenario.relay:
            return self.sink.count()[0] - self.base
        return (self.peer.copies() - self.base) // self.scenario.recipients

    def wait(self, result: Result) -> None:
        """Until all that was acknowledged is where it should be. Raises Unavailable."""
        self.expected += len(result.acknowledged)
        late = time.monotonic() + ARRIVAL_S
        while (arrived := self.arrived()) < self.expected:
            if time.monotonic() > late:
                raise Unavailable(
                    f"{self.expected} messages were accepted, {arrived} arrived\n{self.peer.words()}"
                )
            time.sleep(0.05)
        if arrived > self.expected + len(result.unknown):
            raise Unavailable(f"{self.expected} messages were accepted, {arrived} arrived")
        self.expected = arrived


def measure(peer: Peer, scenario: Scenario, place: Place, seconds: float) -> Sample:
    """Start the server, warm it, load it, count, end it. Raises Unavailable."""
    with Sink(SINK_PORT) as sink:
        try:
            peer.start(place)
            return _load(peer, scenario, place, seconds, sink)
        finally:
            peer.stop(place)


def _load(peer: Peer, scenario: Scenario, place: Place, seconds: float, sink: Sink) -> Sample:
    counter = Counter(peer, scenario, sink)
    numbers = itertools.count(1)
    if scenario.relay:
        seconds = min(seconds, peer.relay_s)
    counter.wait(_send(peer, scenario, numbers, min(WARM_S, seconds / 4)))
    cell, before_disk = place.cell, disk(place.folder)
    cpu, written, connections = cell.cpu(), cell.written(), sink.count()[1]
    began = time.monotonic()
    with cell.watched() as memory:
        result = _send(peer, scenario, numbers, seconds)
        counter.wait(result)
        took = time.monotonic() - began
        time.sleep(AFTERWARDS_S)
    count = len(result.acknowledged)
    if not count:
        raise Unavailable(f"{peer.title} accepted nothing: {result.refused[:1]}\n{peer.words()}")
    octets = count * len(numbered_message(1, scenario.size))
    after_disk = disk(place.folder)
    latencies = sorted(result.latencies)
    return Sample(
        rate=count / took,
        accepted=count / result.seconds,
        cpu=(cell.cpu() - cpu) / count * 1000,
        written=(cell.written() - written) / octets,
        disk=None
        if after_disk is None or before_disk is None
        else (after_disk - before_disk) / octets,
        memory=max(memory) / 1e6,
        p50=statistics.median(latencies) * 1000,
        p99=latencies[int(len(latencies) * 0.99)] * 1000,
        messages=count,
        connections=sink.count()[1] - connections,
    )


def _send(peer: Peer, scenario: Scenario, numbers: itertools.count[int], seconds: float) -> Result:
    load = Load(
        (HOST, peer.port),
        connections=scenario.connections,
        recipients=scenario.envelope,
        message=_messages(scenario.size),
        sender="load@elsewhere.example",
        pipelining=peer.pipelining,
        retry_seconds=0.05,
    )
    return load.run(numbers, seconds)


def _messages(size: int) -> Callable[[int], bytes]:
    """Messages with a Message-ID of their own and otherwise the same octets: cheap to make."""
    head, _, rest = numbered_message(1, size).partition(b"<load.1@")
    return lambda number: b"%b<load.%d@%b" % (head, number, rest)
