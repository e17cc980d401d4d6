"""How mail is handed to other servers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.setting import ConfigError, seconds, setting


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverConfig:
    """Connections to other servers (RFC 5321 section 4.5.3.2 has the other times)."""

    source: tuple[str, ...] = setting(
        (), "IP addresses to connect from, at most one of each family; empty: the system chooses."
    )
    connect_timeout: timedelta = setting(
        seconds(30), "Time a host has to take a connection before the next one is tried."
    )
    idle: timedelta = setting(
        seconds(10), "Time a connection is kept for more mail to the same host."
    )
    max_messages: int = setting(
        100, "Messages sent over one connection before it is closed.", unit="messages"
    )
    max_kept: int = setting(200, "Idle connections one worker keeps.", unit="connections")
    authorities: str = setting(
        "", "PEM file of the authorities that verified TLS trusts; empty: the system's."
    )

    def __post_init__(self) -> None:
        if self.connect_timeout <= timedelta():
            raise ConfigError("deliver", "connect_timeout must be positive")
        if self.max_messages < 1:
            raise ConfigError("deliver", "max_messages must be at least 1")
