"""IMAP for one worker: what all its sessions share."""

from __future__ import annotations

from pathlib import Path

from postillon.access.config import ImapConfig
from postillon.access.imap.session import Session
from postillon.account.accounts import Accounts
from postillon.clock import Clock, system_clock
from postillon.directory.config import AuthConfig
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.directory.throttle import Throttle
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import Stream
from postillon.net.tls import ServerTls


class ImapServer:
    """Runs sessions. tls: for STARTTLS; None: it is not offered.

    throttle: shared with the other protocols of the worker. spool_folder: where large uploads lie
    while they come, as files without a name; None is the system's place for such files.
    """

    def __init__(
        self,
        config: ImapConfig,
        *,
        hostname: str,
        credentials: Credentials,
        directory: Directory,
        accounts: Accounts,
        tls: ServerTls | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        clock: Clock = system_clock,
        throttle: Throttle | None = None,
        spool_folder: Path | None = None,
    ) -> None:
        self.config = config
        self.hostname = hostname
        self.credentials = credentials
        self.directory = directory
        self.accounts = accounts
        self.tls = tls
        self.log = log
        self.meter = meter
        self.clock = clock
        self.throttle = throttle or Throttle(AuthConfig(), clock)
        self.spool_folder = spool_folder

    async def handle(self, stream: Stream) -> None:
        """One connection, to its end."""
        await Session(self, stream).run()
