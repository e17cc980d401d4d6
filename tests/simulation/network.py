"""A network of scripted mail servers in virtual time: for the real remote agent, without sockets.

Each `Peer` is one host. What it does at a moment follows from its script: it refuses connections or
keeps silent during outages, greylists, answers slowly, has full mailboxes, takes only so many
connections at once. It speaks SMTP in octets, so the agent's own engine drives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from postillon.net.dns import DnsTemporary, Mx, NoSuchName
from postillon.net.stream import Endpoint

LATENCY_S = 0.05  # one way there and back
HELLO = (
    b"250-mx.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-DSN\r\n250 ENHANCEDSTATUSCODES\r\n"
)


@dataclass
class Outage:
    """From `begin` to `end` (seconds of the loop) the host refuses, or is silent, or says 421."""

    begin: float
    end: float
    way: str = "refuse"


@dataclass
class Peer:
    """One host. Times in seconds of the loop; `full` and `grey` by recipient."""

    name: str
    outages: Sequence[Outage] = ()
    greylists_s: float = 0.0  # a sender and recipient seen for the first time wait so long
    grey_words: str = "450 4.7.1 Greylisted, please come back later"
    slow_s: float = 0.0  # more for each answer
    most_at_once: int = 0  # connections; 0: as many as come
    full: dict[str, float] = field(default_factory=dict)  # over quota until then
    attempts: list[float] = field(default_factory=list)  # connections asked for
    missed: list[float] = field(default_factory=list)  # of those, not taken
    taken: list[tuple[float, str]] = field(default_factory=list)  # recipients' mail
    deferred: list[tuple[float, str]] = field(default_factory=list)
    open: int = 0
    most_open: int = 0
    seen: dict[tuple[str, str], float] = field(default_factory=dict)

    def outage(self, now: float) -> Outage | None:
        return next((item for item in self.outages if item.begin <= now < item.end), None)


class Wire:
    """What the agent holds instead of a `net.stream.Stream`: its end of a connection to a peer."""

    tls = None
    peer = Endpoint("192.0.2.1", 25)

    def __init__(self, peer: Peer, clock: Callable[[], float]) -> None:
        self._peer = peer
        self._clock = clock
        self._inbox = bytearray()
        self._answers = bytearray()
        self._content = False
        self._sender = ""
        self._rcpt: list[str] = []
        self.lost = False
        peer.open += 1
        peer.most_open = max(peer.most_open, peer.open)
        self._say("220 mx.example ESMTP")

    def pending(self) -> int:
        return len(self._answers)

    async def send(self, data: bytes | bytearray | memoryview) -> None:
        if self.lost:
            raise ConnectionResetError
        self._inbox += data
        self._read()

    async def receive(self, timeout_s: float = 300.0) -> bytes:
        wait = LATENCY_S + self._peer.slow_s
        outage = self._peer.outage(self._clock())
        if outage is not None and not self.lost and outage.way == "silent":
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        if self._peer.slow_s > timeout_s:
            await asyncio.sleep(timeout_s)
            raise TimeoutError
        await asyncio.sleep(wait)
        answers = bytes(self._answers)
        self._answers.clear()
        return answers

    async def start_tls(self, tls: object, reply: bytes = b"") -> None:
        raise AssertionError("no peer offers TLS")

    def close(self) -> None:
        if not self.lost:
            self.lost = True
            self._peer.open -= 1

    abort = close

    def _say(self, line: str) -> None:
        self._answers += line.encode() + b"\r\n"

    def _read(self) -> None:
        while True:
            if self._content:
                end = self._inbox.find(b"\r\n.\r\n")
                if end < 0:
                    return
                del self._inbox[: end + 5]
                self._content = False
                now = self._clock()
                self._peer.taken += [(now, path) for path in self._rcpt]
                self._say("250 2.0.0 taken")
                continue
            end = self._inbox.find(b"\r\n")
            if end < 0:
                return
            line = self._inbox[:end].decode()
            del self._inbox[: end + 2]
            self._command(line)

    def _command(self, line: str) -> None:
        verb = line[:4].upper()
        if verb == "EHLO":
            self._answers += HELLO
        elif verb == "MAIL":
            self._sender, self._rcpt = line.split("<")[1].split(">")[0], []
            self._say("250 2.1.0 ok")
        elif verb == "RCPT":
            self._recipient(line.split("<")[1].split(">")[0])
        elif verb == "DATA":
            if self._rcpt:
                self._content = True
                self._say("354 go on")
            else:
                self._say("503 5.5.1 no valid recipients")
        elif verb == "QUIT":
            self._say("221 2.0.0 bye")
        else:
            self._say("250 2.0.0 ok")

    def _recipient(self, path: str) -> None:
        peer, now = self._peer, self._clock()
        first = peer.seen.setdefault((self._sender, path), now)
        if now < first + peer.greylists_s:
            peer.deferred.append((now, path))
            self._say(peer.grey_words)
        elif now < peer.full.get(path, 0.0):
            peer.deferred.append((now, path))
            self._say("452 4.2.2 Mailbox over quota")
        else:
            self._rcpt.append(path)
            self._say("250 2.1.5 ok")


class Network:
    """The peers by address, their names in DNS, and how to connect to them.

    domains: from a domain to the names of its hosts. A domain not there does not exist. `dns_down`:
    outages of DNS itself.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.peers: dict[str, Peer] = {}
        self.domains: dict[str, list[str]] = {}
        self.dns_down: list[Outage] = []

    def add(self, peer: Peer, *domains: str) -> Peer:
        """A host, and the domains whose only exchanger it is."""
        self.peers[peer.name] = peer
        for domain in domains:
            self.domains[domain] = [peer.name]
        return peer

    def _address(self, name: str) -> str:
        number = list(self.peers).index(name)
        return f"198.18.{number // 250}.{number % 250 + 1}"

    async def mx(self, name: str) -> tuple[Mx, ...]:
        if any(item.begin <= self._clock() < item.end for item in self.dns_down):
            raise DnsTemporary(name, "no answer in time")
        if name not in self.domains:
            raise NoSuchName(name, "this name does not exist")
        return tuple(Mx(10, host) for host in self.domains[name])

    async def addresses(self, name: str) -> tuple[str, ...]:
        if name not in self.peers:
            raise NoSuchName(name, "this name does not exist")
        return (self._address(name),)

    async def txt(self, name: str) -> tuple[bytes, ...]:
        return ()

    async def connect(
        self, address: str, port: int, *, source: str | None, timeout_s: float, tls: object
    ) -> Wire:
        peer = next(p for n, p in self.peers.items() if self._address(n) == address)
        now = self._clock()
        peer.attempts.append(now)
        await asyncio.sleep(LATENCY_S)
        outage = peer.outage(now)
        if outage is not None:
            peer.missed.append(now)
            if outage.way == "silent":
                await asyncio.sleep(timeout_s)
                raise TimeoutError
            if outage.way == "refuse":
                raise ConnectionRefusedError(111, "Connection refused")
        wire = Wire(peer, self._clock)
        if outage is not None or 0 < peer.most_at_once < peer.open:
            wire._answers.clear()
            wire._say("421 4.3.2 Too many connections, try again later")
            if outage is None:
                peer.missed.append(now)
        return wire
