"""Slowing those who guess passwords (FAULTS 42). A state machine; who waits is the session.

Failures are counted by network (an IPv4 address, an IPv6 /64) and by login. Each failure beyond the
free ones doubles the delay before the next answer. A network with very many failures is turned away
until it has been quiet.

Each worker counts at once what fails there, and adds it now and then to what all of them share
(`directory.ledger`, `directory.throttled`): so guesses at many workers count together, and letting
somebody in again reaches all of them. Only addresses are shared; other text that was given as a login
stays here, as it may be a password.

Nobody can lock the owner out: where a login has succeeded lately, it is neither delayed nor turned away
for what others do there or to it, only delayed for what was tried with that login from there. Loopback
is never delayed, nor is a proxy that is trusted: what it does not tell of its clients is not its fault.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeVar

from postillon.clock import Clock
from postillon.directory.config import AuthConfig
from postillon.mail.address import AddressError, parse_address

K = TypeVar("K")
V = TypeVar("V")
Key = tuple[str, str]  # network and login

EVERY = ""  # in place of a network or a login
MAX_LOGIN = 320  # characters; longer text is nobody's login
MAX_UNSHARED = 1_000  # keys between two writes; what fails beyond counts in this worker alone
MAX_ENTRIES = 20_000  # of each kind; the ones used longest ago are forgotten first
IPV6_NETWORK = 64  # bits that one customer has at least (RFC 6177)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What to do before looking at a password."""

    delay_s: float  # wait so long before the answer, whatever it is
    refused: bool = False  # do not look at all: say "try again later"


@dataclass(frozen=True, slots=True)
class Failed:
    """What all workers together have counted. failures 0: let in again. changed: grows."""

    key: Key
    failures: int
    last_at: int  # ms
    changed: int


@dataclass(slots=True)
class _Failures:
    """shared: what all workers had counted at `changed`; own: what they do not know of yet."""

    shared: int
    own: int
    last_at: int
    changed: int


class Throttle:
    """trusted: networks of proxies, which are treated as loopback."""

    def __init__(
        self, config: AuthConfig, clock: Clock, trusted: Sequence[IPv4Network | IPv6Network] = ()
    ) -> None:
        self._config = config
        self._trusted = tuple(trusted)
        self._clock = clock
        self._forget_ms = int(config.forget_after.total_seconds() * 1000)
        self._networks: OrderedDict[Key, _Failures] = OrderedDict()
        self._logins: OrderedDict[Key, _Failures] = OrderedDict()
        self._pairs: OrderedDict[Key, _Failures] = OrderedDict()
        self._known: OrderedDict[Key, int] = OrderedDict()
        self._unshared: dict[Key, tuple[int, int]] = {}  # failures, and when the last one was
        self._excused: set[Key] = set()  # pairs that others are to forget

    def check(self, address: str, login: str) -> Verdict:
        """Before a password is looked at."""
        name, free = self._place(address)
        if free:
            return Verdict(0.0)
        login, _ = _plain(login)
        if (name, login) in self._known:
            return Verdict(delay_s(self._config, self._count((name, login))))
        by_network = self._count((name, EVERY))
        by_login = self._count((EVERY, login))
        delay = delay_s(self._config, max(by_network, by_login))
        return Verdict(delay, refused=by_network >= self._config.refuse_after)

    def failed(self, address: str, login: str) -> None:
        name, free = self._place(address)
        login, shareable = _plain(login)
        if not free:
            self._add((name, EVERY), True)
            self._add((name, login), shareable)
        self._add((EVERY, login), shareable)

    def succeeded(self, address: str, login: str) -> None:
        """Remember the device. Failures of its network stay: one right password excuses no spray."""
        self.remember(address, login)
        login, shareable = _plain(login)
        key = self._place(address)[0], login
        if self._pairs.pop(key, None) is not None and shareable:
            self._unshared.pop(key, None)
            if len(self._excused) < MAX_UNSHARED:
                self._excused.add(key)

    def remember(self, address: str, login: str) -> None:
        """The owner of this login has lately signed in from there."""
        name, free = self._place(address)
        key = name, _plain(login)[0]
        if not free:
            self._known[key] = self._clock()
            self._known.move_to_end(key)
            _bound(self._known)

    def knows(self, address: str, login: str) -> bool:
        """Whether the owner of this login has lately signed in from there."""
        name, free = self._place(address)
        return free or (name, _plain(login)[0]) in self._known

    # What all workers share

    def take(self) -> dict[Key, tuple[int, int]]:
        """Failures that the others do not know of yet, and when the last one was (ms)."""
        found, self._unshared = self._unshared, {}
        return found

    def take_excused(self) -> set[Key]:
        """Pairs of a network and a login that has succeeded there after failures."""
        found, self._excused = self._excused, set()
        return found

    def learn(self, rows: Iterable[Failed], told: Mapping[Key, tuple[int, int]] = {}) -> None:
        """What all workers have counted. told: what is in it of what was taken here."""
        for key, (count, _) in told.items():
            entry = self._table(key).get(key)
            if entry is not None:
                entry.own = max(0, entry.own - count)
        for row in rows:
            self._learn(row)

    def _learn(self, row: Failed) -> None:
        table = self._table(row.key)
        entry = table.get(row.key)
        if entry is not None and row.changed < entry.changed:
            return
        if not row.failures:
            self._unshared.pop(row.key, None)
            table.pop(row.key, None)
            return
        own, last_at = (entry.own, entry.last_at) if entry is not None and entry.own else (0, 0)
        table[row.key] = _Failures(row.failures, own, max(last_at, row.last_at), row.changed)
        table.move_to_end(row.key)
        _bound(table)

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

    def _table(self, key: Key) -> OrderedDict[Key, _Failures]:
        network_, login = key
        if login == EVERY:
            return self._networks
        return self._pairs if network_ else self._logins

    def _count(self, key: Key) -> int:
        table = self._table(key)
        entry = table.get(key)
        if entry is None:
            return 0
        if self._clock() - entry.last_at > self._forget_ms:
            del table[key]
            return 0
        return entry.shared + entry.own

    def _add(self, key: Key, shareable: bool) -> None:
        table, now = self._table(key), self._clock()
        if not self._count(key):
            table[key] = _Failures(0, 0, now, 0)
        entry = table[key]
        entry.own, entry.last_at = entry.own + 1, now
        table.move_to_end(key)
        _bound(table)
        if shareable and (key in self._unshared or len(self._unshared) < MAX_UNSHARED):
            count, _ = self._unshared.get(key, (0, 0))
            self._unshared[key] = count + 1, now


def delay_s(config: AuthConfig, failures: int) -> float:
    """How long an answer waits after so many failures, in seconds."""
    beyond = failures - config.free_failures
    if beyond <= 0:
        return 0.0
    return min(config.longest_delay.total_seconds(), 2.0 ** min(beyond - 1, 30))


def address_of(login: str) -> str:
    """A login as it is compared and kept; "" for text that is no address."""
    try:
        local, domain = parse_address(login.strip()[:MAX_LOGIN]).key
    except AddressError:
        return ""
    return f"{local}@{domain}"


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


def _plain(login: str) -> tuple[str, bool]:
    """A login however it is written: capitals are no way round what is counted. Whether an address."""
    address = address_of(login)
    return address or login.strip().casefold()[:MAX_LOGIN] or "-", bool(address)


def _bound(table: OrderedDict[K, V]) -> None:
    while len(table) > MAX_ENTRIES:
        table.popitem(last=False)
