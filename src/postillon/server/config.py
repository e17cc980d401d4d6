"""The configuration as a whole: which sections there are, and where its file is looked for.

Each section is declared beside the code that reads it; that code is given its own section only.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from postillon.access.config import AutoconfigConfig, HttpConfig, ImapConfig, JmapConfig, Pop3Config
from postillon.account.indexing import SearchConfig
from postillon.deliver.config import DeliverConfig
from postillon.directory.config import AuthConfig, OAuthConfig
from postillon.net.config import ResolverConfig
from postillon.queue.alerts import AlertConfig
from postillon.queue.config import QueueConfig
from postillon.receive.config import SmtpConfig
from postillon.route.config import RouteConfig
from postillon.server.config_reader import read_file, read_text
from postillon.server.sections import (
    DEFAULT_LISTENERS,
    ListenerConfig,
    MetricsConfig,
    ServerConfig,
    TlsConfig,
)
from postillon.setting import setting
from postillon.store.config import StoreConfig

NAME = "postillon.toml"
SYSTEM_FILE = Path("/etc/postillon") / NAME
VARIABLE = "POSTILLON_CONFIG"


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One field a section; the name of the field is the name of its table in the file."""

    server: ServerConfig = field(default_factory=ServerConfig)
    listener: tuple[ListenerConfig, ...] = setting(
        DEFAULT_LISTENERS, "Where connections are accepted; the usual ports when there is none."
    )
    tls: TlsConfig = field(default_factory=TlsConfig)
    auth: AuthConfig = field(default_factory=AuthConfig)
    oauth: OAuthConfig = field(default_factory=OAuthConfig)
    smtp: SmtpConfig = field(default_factory=SmtpConfig)
    imap: ImapConfig = field(default_factory=ImapConfig)
    pop3: Pop3Config = field(default_factory=Pop3Config)
    http: HttpConfig = field(default_factory=HttpConfig)
    jmap: JmapConfig = field(default_factory=JmapConfig)
    autoconfig: AutoconfigConfig = field(default_factory=AutoconfigConfig)
    route: RouteConfig = field(default_factory=RouteConfig)
    queue: QueueConfig = field(default_factory=QueueConfig)
    alerts: AlertConfig = field(default_factory=AlertConfig)
    deliver: DeliverConfig = field(default_factory=DeliverConfig)
    resolver: ResolverConfig = field(default_factory=ResolverConfig)
    store: StoreConfig = field(default_factory=StoreConfig)
    search: SearchConfig = field(default_factory=SearchConfig)
    metrics: MetricsConfig = field(default_factory=MetricsConfig)

    @property
    def listeners(self) -> tuple[ListenerConfig, ...]:
        return self.listener


class ConfigNotFound(Exception):
    """No file was named and none lies where one is looked for."""

    def __init__(self, places: list[Path]) -> None:
        shown = ", ".join(str(place) for place in places)
        super().__init__(f"there is no configuration; looked for {shown}")
        self.places = places


def load(path: Path) -> Configuration:
    """Read a file. Relative paths in it are taken from its folder. Raises ConfigProblems."""
    return read_file(path, Configuration)


def parse(text: str, folder: Path, file: str = NAME) -> Configuration:
    """As `load`, from text. Raises ConfigProblems."""
    return read_text(text, Configuration, file=file, folder=folder)


def find(
    named: Path | None = None,
    data: Path | None = None,
    environment: Mapping[str, str] = os.environ,
) -> Path:
    """The file to read: the named one, that of a demo's folder, $POSTILLON_CONFIG, or the usual.

    A named file is not looked at. Raises ConfigNotFound.
    """
    if named is not None:
        return named
    if data is None and environment.get(VARIABLE):
        return Path(environment[VARIABLE])
    places = [data / NAME] if data is not None else [Path(NAME), SYSTEM_FILE]
    for place in places:
        if place.exists():
            return place
    raise ConfigNotFound(places)
