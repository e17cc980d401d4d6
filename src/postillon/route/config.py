"""Where mail goes that DNS alone does not decide."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from postillon.route.hop import HopError, Security, parse_next_hop, parse_route
from postillon.setting import ConfigError, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteConfig:
    """Routes, smart hosts and what encryption other servers must offer.

    A next hop is written as `smtp://host:port` (STARTTLS where it is offered),
    `smtp://user@host?tls=required`, `smtps://host` (TLS from the first octet) or `lmtp://host:24`;
    `tls` is one of none, opportunistic, required, verified. No MX is looked up for such a host.
    """

    smarthost: str = setting("", "Next hop for all mail to other domains; empty: what DNS names.")
    routes: tuple[str, ...] = setting(
        (),
        "Next hops of single domains, each `domain next-hop`, `.example.org` for all below it;"
        " `domain mx` takes it out of the smart host's way.",
    )
    credentials: Path | None = setting(
        None, "File with a line `host user password` for each next hop that asks for a login."
    )
    security: str = setting(
        "opportunistic",
        "TLS with servers that DNS names: none, opportunistic, required or verified.",
    )
    port: int = setting(25, "Port of the servers that DNS names; another one only for tests.")
    allow_loopback_mx: bool = setting(
        False, "Follow DNS where it leads to this machine itself (127.0.0.1, ::1, 0.0.0.0)."
    )
    max_expansion: int = setting(
        1_000, "Addresses that one recipient may become through aliases and groups."
    )
    alias_depth: int = setting(20, "Aliases and groups that may follow one another.")

    def __post_init__(self) -> None:
        try:
            if self.smarthost:
                parse_next_hop(self.smarthost)
            for text in self.routes:
                parse_route(text)
            Security(self.security)
        except HopError as error:
            raise ConfigError("route", str(error)) from error
        except ValueError as error:
            raise ConfigError(
                "route", "security must be none, opportunistic, required or verified"
            ) from error
        if not 0 < self.port < 65_536:
            raise ConfigError("route", "port must lie between 1 and 65535")
        if self.max_expansion < 1 or self.alias_depth < 1:
            raise ConfigError("route", "max_expansion and alias_depth must be at least 1")
