"""Slowing those who guess passwords (FAULTS 42). A state machine; who waits is the session.

Failures are counted by network (an IPv4 address, an IPv6 /64) and by login. Each failure beyond the
free ones doubles the delay before the next answer. Loopback is never delayed by its address, and a
network from which a login has succeeded lately is not delayed by what strangers do to that login:
nobody can lock the owner out. A network with very many failures is turned away until it has been quiet.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
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
    def __init__(self, config: AuthConfig, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._forget_ms = int(config.forget_after.total_seconds() * 1000)
        self._networks: OrderedDict[str, _Failures] = OrderedDict()
        self._logins: OrderedDict[str, _Failures] = OrderedDict()
        self._known: OrderedDict[tuple[str, str], int] = OrderedDict()

    def check(self, address: str, login: str) -> Verdict:
        """Before a password is looked at."""
        name, loopback = network(address)
        by_network = 0 if loopback else self._count(self._networks, name)
        if by_network >= self._config.refuse_after:
            return Verdict(self._delay(by_network), refused=True)
        known = loopback or (name, login) in self._known
        by_login = 0 if known else self._count(self._logins, login)
        return Verdict(self._delay(max(by_network, by_login)))

    def failed(self, address: str, login: str) -> None:
        name, loopback = network(address)
        if not loopback:
            self._add(self._networks, name)
        self._add(self._logins, login)

    def succeeded(self, address: str, login: str) -> None:
        """Remember the device. Failures of its network stay: one right password excuses no spray."""
        name, loopback = network(address)
        if not loopback:
            self._known[name, login] = self._clock()
            self._known.move_to_end((name, login))
            _bound(self._known)

    def _count(self, table: OrderedDict[str, _Failures], key: str) -> int:
        entry = table.get(key)
        if entry is None:
            return 0
        if self._clock() - entry.last_at > self._forget_ms:
            del table[key]
            return 0
        return entry.count

    def _add(self, table: OrderedDict[str, _Failures], key: str) -> None:
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


def _bound(table: OrderedDict[K, V]) -> None:
    while len(table) > MAX_ENTRIES:
        table.popitem(last=False)
