"""Slowing those who guess passwords (FAULTS 42). A state machine; who waits is the session.

Failures are counted by network (an IPv4 address, an IPv6 /64) and by login. Each failure beyond the
free ones doubles the delay before the next answer. A network with very many failures is turned away
until it has been quiet.

Nobody can lock the owner out: where a login has succeeded lately, it is neither delayed nor turned away
for what others do there or to it, only delayed for what was tried with that login from there. Loopback
is never delayed, nor is a proxy that is trusted: what it does not tell of its clients is not its fault.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar

from postillon.clock import Clock
from postillon.directory.config import AuthConfig

K = TypeVar("K")
V = TypeVar("V")

MAX_ENTRIES = 20_000  # of each kind; the ones used longest ago are forgotten first
IPV6_NETWORK = 64  # bits that one customer has at least (RFC 6177)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do before looking at a password."""

    delay_s: float  # wait so long before the answer, whatever it is
    refused: bool = False  # do not look at all: say "try again later"


@dataclass(slots=True)
class _Failures:
    count: int
    last_at: int


class Throttle:
    """trusted: networks of proxies, which are treated as loopback."""

    def __init__(
        self, config: AuthConfig, clock: Clock, trusted: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:
        self._config = config
        self._trusted = tuple(trusted)
        self._clock = clock
        self._forget_ms = int(config.forget_after.total_seconds() * 1000)
        self._networks: OrderedDict[str, _Failures] = OrderedDict()
        self._logins: OrderedDict[str, _Failures] = OrderedDict()
        self._pairs: OrderedDict[tuple[str, str], _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def check(self, address: str, login: str) -> Verdict:
        """Before a password is looked at."""
        name, free = self._place(address)
        if free:
            return Verdict(0.0)
        login = _plain(login)
        if (name, login) in self._known:
            return Verdict(self._delay(self._count(self._pairs, (name, login))))
        by_network = self._count(self._networks, name)
        by_login = self._count(self._logins, login)
        delay = self._delay(max(by_network, by_login))
        return Verdict(delay, refused=by_network >= self._config.refuse_after)

    def failed(self, address: str, login: str) -> None:
        name, free = self._place(address)
        login = _plain(login)
        if not free:
            self._add(self._networks, name)
            self._add(self._pairs, (name, login))
        self._add(self._logins, login)

    def succeeded(self, address: str, login: str) -> None:
        """Remember the device. Failures of its network stay: one right password excuses no spray."""
        name, free = self._place(address)
        login = _plain(login)
        if not free:
            self._pairs.pop((name, login), None)
            self._known[name, login] = self._clock()
            self._known.move_to_end((name, login))
            _bound(self._known)

    def knows(self, address: str, login: str) -> bool:
        """Whether the owner of this login has lately signed in from there."""
        name, free = self._place(address)
        return free or (name, _plain(login)) in self._known

    def _place(self, address: str) -> tuple[str, bool]:
        """The network of an address, and whether nothing is held against it."""
        name, loopback = network(address)
        if loopback or not self._trusted:
            return name, loopback
        try:
            ip = ip_address(address.partition("%")[0])
        except ValueError:
            return name, False
        if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        return name, any(ip in item for item in self._trusted)

    def _count(self, table: OrderedDict[K, _Failures], key: K) -> int:
        entry = table.get(key)
        if entry is None:
            return 0
        if self._clock() - entry.last_at > self._forget_ms:
            del table[key]
            return 0
        return entry.count

    def _add(self, table: OrderedDict[K, _Failures], key: K) -> None:
        count = self._count(table, key) + 1
        table[key] = _Failures(count, self._clock())
        table.move_to_end(key)
        _bound(table)

    def _delay(self, failures: int) -> float:
        beyond = failures - self._config.free_failures
        if beyond <= 0:
            return 0.0
        longest = self._config.longest_delay.total_seconds()
        return min(longest, 2.0 ** min(beyond - 1, 30))


@lru_cache(maxsize=4_096)
def network(address: str) -> tuple[str, bool]:
    """The network an address counts for, and whether it is loopback. Any text is accepted."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address, False
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return network(str(ip.ipv4_mapped))
        bits = int(ip) >> (128 - IPV6_NETWORK) << (128 - IPV6_NETWORK)
        return f"{IPv6Address(bits)}/{IPV6_NETWORK}", ip.is_loopback
    return str(ip), ip.is_loopback


def _plain(login: str) -> str:
    """A login however it is written: capitals are no way round what is counted."""
    return login.strip().casefold()[:320]


def _bound(table: OrderedDict[K, V]) -> None:
    while len(table) > MAX_ENTRIES:
        table.popitem(last=False)
