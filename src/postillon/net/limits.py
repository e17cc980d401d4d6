"""How many connections there may be, in all and from one place.

A place is an IPv4 address or an IPv6 /64: whoever has one address of a /64 has them all.
"""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

IPV6_PREFIX = 64  # bits; the smallest net a customer is given (RFC 6177)


def plain_ip(ip: str) -> str:
    """The address without zone, and an IPv4-mapped one (RFC 4291 section 2.5.5.2) as IPv4."""
    ip = ip.partition("%")[0]
    if ip.lower().startswith("::ffff:"):
        mapped = IPv6Address(ip).ipv4_mapped
        if mapped is not None:
            return str(mapped)
    return ip


def place_of(ip: str) -> str:
    """The place an address belongs to: itself, or its /64 as "2001:db8:0:1::/64"."""
    if ":" not in ip:
        return ip
    address = ip_address(ip)
    bits = 128 - IPV6_PREFIX
    return f"{IPv6Address(int(address) >> bits << bits)}/{IPV6_PREFIX}"


@lru_cache(maxsize=4_096)
def is_loopback(ip: str) -> bool:
    try:
        return ip_address(ip).is_loopback
    except ValueError:
        return False


class ConnectionLimits:
    """Counts the open connections of one worker. Loopback counts in the total only."""

    def __init__(self, total: int, per_place: int) -> None:
        self.total, self.per_place = total, per_place
        self.open = 0
        self._places: Counter[str] = Counter()

    def enter(self, ip: str) -> str | None:
        """Count a new connection in; the place to give back to `leave`. None: one too many."""
        if self.open >= self.total:
            return None
        place = place_of(ip)
        if self._places[place] >= self.per_place and not is_loopback(ip):
            return None
        self.open += 1
        self._places[place] += 1
        return place

    def leave(self, place: str) -> None:
        self.open -= 1
        self._places[place] -= 1
        if self._places[place] <= 0:
            del self._places[place]
