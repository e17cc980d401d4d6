"""A child gets exactly the configuration its supervisor has."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from pathlib import Path

from postillon.net.config import ResolverConfig
from postillon.server.handover import HandedSocket, decode, encode
from postillon.server.sections import (
    DEFAULT_LISTENERS,
    ListenerConfig,
    ListenerProtocol,
    ServerConfig,
    TlsConfig,
    TlsMode,
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sections:
    server: ServerConfig
    listeners: tuple[ListenerConfig, ...]
    tls: TlsConfig
    resolver: ResolverConfig


def test_what_is_handed_over_arrives_unchanged() -> None:
    config = Sections(
        server=ServerConfig(
            hostname="mail.example.org",
            data=Path("/srv/x y"),
            stop_patience=timedelta(milliseconds=1500),
        ),
        listeners=(
            *DEFAULT_LISTENERS,
            ListenerConfig(
                protocol=ListenerProtocol.LMTP, path=Path("/run/lmtp"), tls=TlsMode.NONE
            ),
        ),
        tls=TlsConfig(certificate=Path("a.pem"), key=Path("b.pem")),
        resolver=ResolverConfig(servers=("[::1]:53",)),
    )
    sockets = (HandedSocket(0, 7), HandedSocket(1, 9))
    line = encode("w1", config, sockets)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    handover, arrived = decode(line, Sections)
    assert arrived == config
    assert (handover.role, handover.sockets) == ("w1", sockets)
