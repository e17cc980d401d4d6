"""A next hop as an administrator writes it: `smtp://user@mail.example.org:587?tls=required`."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from postillon.mail.address import AddressError, normalise_domain

PORTS = {"smtp": 25, "smtps": 465, "lmtp": 24}
MAX_KNOWN = 1_000  # next hops whose reading is remembered
BY_MX = "mx"  # in a route: ask DNS, whatever the smart host


class HopError(ValueError):
    """Text that names no next hop. The message says why, for an administrator."""


class Security(Enum):
    """What encryption a conversation must have."""

    NONE = "none"  # never try
    OPPORTUNISTIC = "opportunistic"  # where it is offered; clear text if it fails (RFC 7435)
    REQUIRED = "required"  # any certificate will do
    VERIFIED = "verified"  # a certificate for the host's name from a known authority


@dataclass(frozen=True, slots=True)
class NextHop:
    """A fixed server. `str()` is its one spelling, and what queue rows keep as destination."""

    host: str  # lower case; an IPv6 address without brackets
    port: int
    protocol: str = "smtp"  # smtp or lmtp
    security: Security = Security.OPPORTUNISTIC
    implicit: bool = False  # TLS from the first octet (RFC 8314)
    user: str = ""  # for the login; its password stands in the credentials file

    def __str__(self) -> str:
        scheme = "smtps" if self.implicit else self.protocol
        host = f"[{self.host}]" if ":" in self.host else self.host
        user = f"{self.user.replace('@', '%40')}@" if self.user else ""
        normal = Security.VERIFIED if self.implicit else Security.OPPORTUNISTIC
        query = "" if self.security is normal else f"?tls={self.security.value}"
        return f"{scheme}://{user}{host}:{self.port}{query}"


@dataclass(frozen=True, slots=True)
class Route:
    """Where a domain's mail goes: `hop` None asks DNS. `pattern` ".x" matches all below x."""

    pattern: str
    hop: NextHop | None

    def matches(self, domain: str) -> bool:
        if self.pattern.startswith("."):
            return domain.endswith(self.pattern)
        return domain == self.pattern


def is_next_hop(destination: str) -> bool:
    """Whether a destination is a fixed server; it is a domain otherwise."""
    return "://" in destination


@lru_cache(MAX_KNOWN)  # each message to relay asks again what few servers are called
def parse_next_hop(text: str) -> NextHop:
    """Read a next hop; a bare `host` or `host:port` means smtp. Raises HopError."""
    if "://" not in text:
        text = f"smtp://{text}"
    try:
        parts = urlsplit(text)
        host, port, options = parts.hostname, parts.port, dict(parse_qsl(parts.query))
    except ValueError as error:
        raise HopError(f"{text!r} is not a next hop: {error}") from error
    if parts.scheme not in PORTS:
        raise HopError(f"{text!r}: a next hop begins with smtp://, smtps:// or lmtp://")
    if parts.path not in ("", "/") or parts.fragment or parts.password is not None:
        raise HopError(f"{text!r}: only user, host, port and ?tls= are possible")
    if set(options) - {"tls"}:
        raise HopError(f"{text!r}: the only option is tls")
    implicit = parts.scheme == "smtps"
    normal = Security.VERIFIED if implicit else Security.OPPORTUNISTIC
    try:
        security = Security(options.get("tls", normal.value))
    except ValueError as error:
        raise HopError(
            f"{text!r}: tls must be none, opportunistic, required or verified"
        ) from error
    if implicit and security not in (Security.REQUIRED, Security.VERIFIED):
        raise HopError(f"{text!r}: with smtps, tls must be required or verified")
    return NextHop(
        _host(host or "", text),
        port if port is not None else PORTS[parts.scheme],
        "lmtp" if parts.scheme == "lmtp" else "smtp",
        security,
        implicit,
        (parts.username or "").replace("%40", "@"),
    )


def parse_route(text: str) -> Route:
    """Read `domain next-hop` or `domain mx`. Raises HopError."""
    domain, _, target = text.strip().partition(" ")
    target = target.strip()
    if not target:
        raise HopError(f"{text!r}: a route is a domain and a next hop, separated by a space")
    dot = "." if domain.startswith(".") else ""
    try:
        pattern = dot + normalise_domain(domain.removeprefix("."))
    except AddressError as error:
        raise HopError(f"{domain!r} is not a domain: {error}") from error
    return Route(pattern, None if target == BY_MX else parse_next_hop(target))


def _host(host: str, text: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return normalise_domain(host)
    except AddressError as error:
        raise HopError(f"{text!r}: the host is missing or malformed") from error
