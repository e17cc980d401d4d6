"""Where a destination's mail goes next (RFC 5321 section 5.1, RFC 7505).

A destination is a domain, or a fixed next hop as `route.hop` writes it. The answer is an ordered list
of hosts with their addresses, or the Status that a recipient there gets: temporary where DNS could not
be asked, permanent where it said that there is nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
from collections.abc import Sequence
from random import Random

import msgspec

from postillon.mail.outcome import Status
from postillon.net.dns import DnsError, DnsTemporary, Mx, NoSuchName
from postillon.net.limits import plain_ip
from postillon.route.config import RouteConfig
from postillon.route.dns import Dns
from postillon.route.hop import (
    NextHop,
    Security,
    is_next_hop,
    parse_next_hop,
)
from postillon.route.security import TlsPolicy, policy_for_domain, policy_for_hop

MAX_HOSTS = 20  # exchangers of one domain that are looked at, best first
MAX_ADDRESSES = 16  # of one host
MAX_KEY = 200  # characters of a host set's name; a longer one ends in a hash
UNREACHABLE_DNS = "its mail servers could not be looked up"


class Host(msgspec.Struct, frozen=True):
    """One server of a destination. `name` is what TLS and reports call it."""

    name: str
    addresses: tuple[str, ...]  # in the order in which they are to be tried, not empty
    port: int
    preference: int = 0


class Hosts(msgspec.Struct, frozen=True):
    """The servers to try, in order. `key` names the set: domains that share it share limits.

    A fixed next hop stands for itself, with its login: what one login earns is not another's.
    """

    destination: str
    hosts: tuple[Host, ...]
    tls: TlsPolicy
    protocol: str = "smtp"
    user: str = ""
    password: str = ""
    steps: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        if is_next_hop(self.destination):
            return self.destination
        text = ",".join(sorted({f"{host.name}:{host.port}" for host in self.hosts}))
        if len(text) <= MAX_KEY:
            return text
        digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()
        return f"{text[: MAX_KEY - 18]}..{digest[:16]}"


class NoHosts(msgspec.Struct, frozen=True):
    """Why there is nowhere to go now, or ever."""

    status: Status
    permanent: bool
    steps: tuple[str, ...] = ()


class NextHops:
    """Answers where a destination's mail goes.

    own_names, own_addresses: what we are called and listen on. An exchanger that is ourselves ends
    the list: it and all equal or worse preferences are dropped, or mail would loop.
    """

    def __init__(
        self,
        dns: Dns,
        config: RouteConfig,
        *,
        hostname: str,
        random: Random,
        own_names: Sequence[str] = (),
        own_addresses: Sequence[str] = (),
    ) -> None:
        self._dns = dns
        self._config = config
        self._random = random
        self._own_names = {hostname.lower(), *(name.lower() for name in own_names)}
        self._own_addresses = {str(ipaddress.ip_address(address)) for address in own_addresses}
        self._passwords = _read_credentials(config)

    async def find(self, destination: str) -> Hosts | NoHosts:
        """The hosts for a destination as `destination` gave it. Never raises for what DNS says."""
        if is_next_hop(destination):
            return await self._fixed(parse_next_hop(destination))
        if destination.startswith("["):
            address = destination[1:-1].removeprefix("IPv6:")
            host = Host(destination, (address,), self._config.port)
            return self._hosts(destination, [host], [f"{destination} is an address"])
        return await self._by_dns(destination)

    async def _fixed(self, hop: NextHop) -> Hosts | NoHosts:
        steps = [f"the next hop is fixed: {hop}"]
        found = await self._addresses(hop.host)
        if isinstance(found, DnsError):
            # An administrator's mistake or a broken zone: never a reason to give mail back at once.
            text = f"the address of the next hop {hop.host} could not be found"
            return NoHosts(Status("4.4.4", text, host=hop.host), False, (*steps, str(found)))
        host = Host(hop.host, found, hop.port)
        password = self._passwords.get((hop.host, hop.user), "") if hop.user else ""
        return Hosts(
            str(hop), (host,), policy_for_hop(hop), hop.protocol, hop.user, password, tuple(steps)
        )

    async def _by_dns(self, domain: str) -> Hosts | NoHosts:
        steps: list[str] = []
        try:
            exchangers = await self._dns.mx(domain)
        except NoSuchName:
            steps.append(f"MX {domain}: no such name")
            return _none("5.1.2", f"the domain {domain} does not exist", True, steps)
        except DnsTemporary as error:
            steps.append(f"MX {domain}: {error.reason}")
            return _none("4.4.3", f"{domain}: {UNREACHABLE_DNS}", False, steps)
        if exchangers:
            listed = ", ".join(f"{mx.preference} {mx.host or '.'}" for mx in exchangers)
            steps.append(f"MX {domain}: {listed}")
            return await self._by_mx(domain, exchangers, steps)
        # RFC 5321 section 5.1: without MX the domain itself is the host, with preference 0.
        steps.append(f"MX {domain}: none, so the domain itself is asked for addresses")
        return await self._by_mx(domain, (Mx(0, domain),), steps, implicit=True)

    async def _by_mx(
        self, domain: str, exchangers: Sequence[Mx], steps: list[str], *, implicit: bool = False
    ) -> Hosts | NoHosts:
        if all(not exchanger.host for exchanger in exchangers):
            steps.append("null MX: this domain takes no mail")
            return _none("5.1.10", f"the domain {domain} takes no mail", True, steps)
        candidates = sorted(exchanger for exchanger in exchangers if exchanger.host)[:MAX_HOSTS]
        answers = await asyncio.gather(*(self._addresses(mx.host) for mx in candidates))
        limit = self._own_preference(candidates, answers)
        if limit is not None:
            steps.append(f"we are an exchanger at preference {limit}: only better ones are used")
        hosts: list[Host] = []
        errors: list[DnsError] = []
        for mx, answer in zip(candidates, answers, strict=True):
            if limit is not None and mx.preference >= limit:
                continue
            if not isinstance(answer, DnsError) and not self._config.allow_loopback_mx:
                answer = _elsewhere(mx.host, answer)
            if isinstance(answer, DnsError):
                errors.append(answer)
                steps.append(f"{mx.host}: {answer.reason}")
                continue
            hosts.append(Host(mx.host, answer, self._config.port, mx.preference))
        if hosts:
            return self._hosts(domain, hosts, steps)
        if limit is not None and not errors:
            text = f"mail for {domain} would come back to this server"
            return _none("5.4.6", text, True, steps)
        if any(isinstance(error, DnsTemporary) for error in errors):
            return _none("4.4.3", f"{domain}: {UNREACHABLE_DNS}", False, steps)
        if implicit:
            return _none("5.1.2", f"the domain {domain} has no mail server", True, steps)
        return _none(
            "5.4.4", f"the mail servers of {domain} have no address we can use", True, steps
        )

    def _hosts(self, destination: str, hosts: list[Host], steps: list[str]) -> Hosts:
        self._random.shuffle(hosts)
        hosts.sort(key=lambda host: host.preference)  # stable: equals stay as they were shuffled
        steps.append("to try: " + ", ".join(f"{h.name} ({', '.join(h.addresses)})" for h in hosts))
        policy = policy_for_domain(destination, Security(self._config.security))
        return Hosts(destination, tuple(hosts), policy, steps=tuple(steps))

    def _own_preference(
        self, exchangers: Sequence[Mx], answers: Sequence[tuple[str, ...] | DnsError]
    ) -> int | None:
        """The best preference at which we stand in the list ourselves; None where we do not."""
        own = [
            mx.preference
            for mx, answer in zip(exchangers, answers, strict=True)
            if mx.host in self._own_names
            or (not isinstance(answer, DnsError) and self._own_addresses.intersection(answer))
        ]
        return min(own, default=None)

    async def _addresses(self, host: str) -> tuple[str, ...] | DnsError:
        """The addresses of a host, families taking turns so that a broken one costs one try."""
        try:
            return (str(ipaddress.ip_address(host)),)
        except ValueError:
            pass
        try:
            found = await self._dns.addresses(host)
        except DnsError as error:
            return error
        if not found:
            return NoSuchName(host, "no addresses")
        six = [address for address in found if ":" in address]
        four = [address for address in found if ":" not in address]
        turns = [pair for both in zip(six, four, strict=False) for pair in both]
        rest = six[len(four) :] + four[len(six) :]
        return tuple((turns + rest)[:MAX_ADDRESSES])


def _elsewhere(host: str, addresses: tuple[str, ...]) -> tuple[str, ...] | DnsError:
    """Without those of this machine itself: a foreign zone must not make us talk to ourselves."""
    kept = tuple(address for address in addresses if not _own_machine(address))
    return kept or NoSuchName(host, "no addresses but those of this machine itself")


def _own_machine(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(plain_ip(address))
    except ValueError:
        return False
    return ip.is_loopback or ip.is_unspecified


def _none(code: str, text: str, permanent: bool, steps: list[str]) -> NoHosts:
    return NoHosts(Status(code, text), permanent, tuple(steps))


def _read_credentials(config: RouteConfig) -> dict[tuple[str, str], str]:
    """(host, user) to password. Raises OSError for a file that cannot be read."""
    if config.credentials is None:
        return {}
    found = {}
    for line in config.credentials.read_text(encoding="utf-8").splitlines():
        words = line.split(None, 2)
        if len(words) == 3 and not line.startswith("#"):
            found[words[0].lower(), words[1]] = words[2]
    return found
