"""What an administrator may set about the server itself: processes, listeners, TLS, metrics."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from ipaddress import ip_address
from pathlib import Path

from postillon.log import Level
from postillon.setting import ConfigError, seconds, setting

MAX_WORKERS = 64  # more than that many cores have not been tried
MAX_PORT = 65535


class ListenerProtocol(Enum):
    """What is spoken on a listener. Those that end in s begin with TLS (RFC 8314)."""

    SMTP = "smtp"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    LMTP = "lmtp"
    IMAP = "imap"
    IMAPS = "imaps"
    POP3 = "pop3"
    POP3S = "pop3s"
    HTTPS = "https"
    HTTP = "http"
    METRICS = "metrics"


class TlsMode(Enum):
    """When TLS begins on a listener."""

    AUTO = "auto"  # at once for submissions, imaps, pop3s and https, when asked for elsewhere
    NONE = "none"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"


class LogLevel(Enum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def level(self) -> Level:
        return Level[self.name]


DEFAULT_PORT = {
    ListenerProtocol.SMTP: 25,
    ListenerProtocol.SUBMISSION: 587,
    ListenerProtocol.SUBMISSIONS: 465,
    ListenerProtocol.LMTP: 24,
    ListenerProtocol.IMAP: 143,
    ListenerProtocol.IMAPS: 993,
    ListenerProtocol.POP3: 110,
    ListenerProtocol.POP3S: 995,
    ListenerProtocol.HTTPS: 443,
    ListenerProtocol.HTTP: 80,
    ListenerProtocol.METRICS: 9099,
}
IMPLICIT_TLS = {
    ListenerProtocol.SUBMISSIONS,
    ListenerProtocol.IMAPS,
    ListenerProtocol.POP3S,
    ListenerProtocol.HTTPS,
}
# Without TLS, or with it by another name.
CLEAR = (ListenerProtocol.METRICS, ListenerProtocol.HTTP)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Who the server is, where its data lies and how many processes share the work."""

    hostname: str = setting(
        "localhost", "Full name of this machine, said in greetings and Received fields."
    )
    data: Path = setting(Path("data"), "Folder of all state; one running server each.")
    workers: int = setting(0, "Worker processes; 0 starts one for each core.", unit="processes")
    own_cores: bool = setting(
        True,
        "Keep each worker to a core of its own, where there are enough; its threads take turns.",
    )
    user: str = setting(
        "", "Account the processes run as when started by root; empty: do not start as root."
    )
    allow_root: bool = setting(
        False, "Run as root after all; only for containers where root is nobody else."
    )
    log_level: LogLevel = setting(LogLevel.INFO, "Least important lines that are logged.")
    stop_patience: timedelta = setting(
        seconds(10), "Time that sessions have to finish their reply when the server stops."
    )
    max_connections: int = setting(
        10_000, "Connections at one time in each worker, all listeners together."
    )
    max_connections_per_address: int = setting(
        50, "Of these, from one IPv4 address or IPv6 /64. Loopback is not limited."
    )

    def __post_init__(self) -> None:
        if not self.hostname or any(ord(char) <= 32 for char in self.hostname):
            raise ConfigError("server", "hostname must be the name of this machine")
        if not 0 <= self.workers <= MAX_WORKERS:
            raise ConfigError("server", f"workers must lie between 0 and {MAX_WORKERS}")
        if self.stop_patience < timedelta(0):
            raise ConfigError("server", "stop_patience must not be negative")
        if not 1 <= self.max_connections_per_address <= self.max_connections:
            raise ConfigError(
                "server", "1 <= max_connections_per_address <= max_connections must hold"
            )

    @property
    def worker_count(self) -> int:
        return self.workers or min(len(os.sched_getaffinity(0)), MAX_WORKERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """One place where connections are accepted."""

    protocol: ListenerProtocol = setting(ListenerProtocol.SMTP, "What is spoken there.")
    address: str = setting(
        "", "IP address to listen on; empty: every IPv4 and IPv6 address of the machine."
    )
    port: int = setting(0, "TCP port; 0: the usual one of the protocol.")
    path: Path = setting(Path(), "Unix socket instead of address and port; only for LMTP.")
    tls: TlsMode = setting(TlsMode.AUTO, "When TLS begins.")
    inherited: str = setting(
        "", "Name (FileDescriptorName=) of a socket that systemd hands over instead."
    )

    def __post_init__(self) -> None:
        if self.address:
            try:
                ip_address(self.address)
            except ValueError:
                raise ConfigError(
                    "listeners", f"address {self.address!r} is not an IP address"
                ) from None
        if not 0 <= self.port <= MAX_PORT:
            raise ConfigError("listeners", "port must lie between 0 and 65535")
        if self.unix and self.protocol is not ListenerProtocol.LMTP:
            raise ConfigError("listeners", "path is for protocol lmtp only")
        if self.unix and (self.address or self.port):
            raise ConfigError("listeners", "give a path, or an address and port, not both")
        if self.protocol in IMPLICIT_TLS and self.tls in (TlsMode.NONE, TlsMode.STARTTLS):
            raise ConfigError(
                "listeners", f"{self.protocol.value} begins with TLS by its definition"
            )
        if self.protocol in CLEAR and self.tls not in (TlsMode.AUTO, TlsMode.NONE):
            raise ConfigError("listeners", f"{self.protocol.value} has no TLS by its definition")

    @property
    def unix(self) -> bool:
        return self.path != Path()

    @property
    def effective_port(self) -> int:
        return 0 if self.unix else self.port or DEFAULT_PORT[self.protocol]

    @property
    def mode(self) -> TlsMode:
        """AUTO resolved."""
        if self.tls is not TlsMode.AUTO:
            return self.tls
        if self.protocol in IMPLICIT_TLS:
            return TlsMode.IMPLICIT
        if self.unix or self.protocol in CLEAR:
            return TlsMode.NONE
        return TlsMode.STARTTLS

    def __str__(self) -> str:
        if self.inherited:
            return f"{self.protocol.value} on inherited socket {self.inherited}"
        if self.unix:
            return f"{self.protocol.value} on {self.path}"
        host = f"[{self.address}]" if ":" in self.address else self.address or "*"
        return f"{self.protocol.value} on {host}:{self.effective_port}"


DEFAULT_LISTENERS = (
    *(
        ListenerConfig(protocol=protocol)
        for protocol in ListenerProtocol
        if protocol not in (ListenerProtocol.LMTP, *CLEAR)
    ),
    ListenerConfig(protocol=ListenerProtocol.METRICS, address="127.0.0.1"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsConfig:
    """The server's certificate. It is read again when its files change and on SIGHUP."""

    certificate: Path = setting(
        Path(), "PEM file with the chain; empty: one signed by ourselves, in the data folder."
    )
    key: Path = setting(Path(), "PEM file with the private key.")

    def __post_init__(self) -> None:
        if (self.certificate == Path()) != (self.key == Path()):
            raise ConfigError("tls", "certificate and key belong together: give both or neither")

    @property
    def given(self) -> bool:
        return self.certificate != Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricsConfig:
    """Figures for Prometheus, at /metrics of a listener with protocol metrics."""

    enabled: bool = setting(True, "Count and measure at all.")
