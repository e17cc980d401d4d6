"""One description of what a client can use, from which every kind of set-up is made."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Use(Enum):
    """What for. The value is the name that Mozilla's format has for it."""

    IMAP = "imap"
    POP3 = "pop3"
    SUBMISSION = "smtp"


@dataclass(frozen=True, slots=True)
class Service:
    """A port a client may connect to. implicit: TLS from the first octet, else STARTTLS."""

    use: Use
    host: str
    port: int
    implicit: bool

    @property
    def srv(self) -> str:
        """The label of its SRV record (RFC 6186, RFC 8314)."""
        label = {Use.IMAP: "imap", Use.POP3: "pop3", Use.SUBMISSION: "submission"}[self.use]
        return f"_{label}s._tcp" if self.implicit else f"_{label}._tcp"


@dataclass(frozen=True, slots=True)
class Description:
    """What is offered to the accounts of a domain, best first, and under which name."""

    hostname: str
    name: str  # of the server or its operator, shown to people
    services: tuple[Service, ...]
    web: int = 0  # the port of HTTPS; 0: there is none

    def of(self, use: Use) -> list[Service]:
        return [service for service in self.services if service.use is use]

    def best(self, use: Use) -> Service | None:
        return next(iter(self.of(use)), None)


def described(hostname: str, name: str, services: list[Service], web: int = 0) -> Description:
    """In the order in which clients should try: IMAP before POP3, TLS at once before STARTTLS."""
    order = list(Use)
    ranked = sorted(set(services), key=lambda s: (order.index(s.use), not s.implicit, s.port))
    return Description(hostname, name or hostname, tuple(ranked), web)
