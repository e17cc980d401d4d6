"""What a look-up of a name can answer, whoever makes it."""

from __future__ import annotations

from dataclasses import dataclass


class DnsError(Exception):
    """A look-up without an answer. Carries the name asked for and why, for a human."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class DnsTemporary(DnsError):
    """No answer now: a timeout, SERVFAIL, or an answer that cannot be believed. Try later."""


class NoSuchName(DnsError):
    """NXDOMAIN: the name does not exist. Never raised for a failure to find out (FAULTS 22)."""


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """A mail exchanger (RFC 5321 section 5.1). `host` "" is the null MX (RFC 7505)."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True, order=True)
class Srv:
    """Where a service is (RFC 2782). `host` "" says that it is not offered."""

    priority: int
    weight: int
    port: int
    host: str
