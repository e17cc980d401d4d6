"""What routing asks of DNS: an argument, so that tests answer as they like."""

from __future__ import annotations

from typing import Protocol

from postillon.net.dns import Mx


class Dns(Protocol):
    """All raise DnsTemporary or NoSuchName, and return () where the name has no such record."""

    async def mx(self, name: str) -> tuple[Mx, ...]:
        """By preference; host "" is the null MX (RFC 7505)."""

    async def addresses(self, name: str) -> tuple[str, ...]:
        """IPv6 and IPv4, in the order in which they are to be tried."""

    async def txt(self, name: str) -> tuple[bytes, ...]:
        """The strings of each record joined."""
