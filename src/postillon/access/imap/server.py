"""IMAP for one worker: what all its sessions share."""

from __future__ import annotations

from pathlib import Path

from postillon.access.config import ImapConfig
from postillon.access.imap.orders import Orders
from postillon.access.imap.session import Session
from postillon.account.accounts import Accounts
from postillon.clock import Clock, system_clock
from postillon.directory.directory import Directory
from postillon.directory.signin import SignIns
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import Stream
from postillon.net.tls import ServerTls


class ImapServer:
    """Runs sessions. tls: for STARTTLS; None: it is not offered.

    spool_folder: where large uploads lie while they come, as files without a name; None is the
    system's place for such files. jmap_url: of the JMAP session (RFC 9698); "": there is none.
    """

    def __init__(
        self,
        config: ImapConfig,
        *,
        hostname: str,
        sign_ins: SignIns,
        directory: Directory,
        accounts: Accounts,
        tls: ServerTls | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        clock: Clock = system_clock,
        spool_folder: Path | None = None,
        jmap_url: str = "",
    ) -> None:
        self.config = config
        self.hostname = hostname
        self.sign_ins = sign_ins
        self.directory = directory
        self.accounts = accounts
        self.tls = tls
        self.log = log
        self.meter = meter
        self.clock = clock
        self.spool_folder = spool_folder
        self.jmap_url = jmap_url
        self.orders = Orders()

    async def handle(self, stream: Stream) -> None:
        """One connection, to its end."""
        await Session(self, stream).run()
