"""POP3 for one worker: what all its sessions share."""

from __future__ import annotations

from postillon.access.config import Pop3Config
from postillon.access.pop3.session import Session
from postillon.account.accounts import Accounts
from postillon.directory.signin import SignIns
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import Stream
from postillon.net.tls import ServerTls


class Pop3Server:
    """Runs sessions. tls: for STLS; None: it is not offered. name: of this worker, for its locks."""

    def __init__(
        self,
        config: Pop3Config,
        *,
        name: str,
        hostname: str,
        sign_ins: SignIns,
        accounts: Accounts,
        tls: ServerTls | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
    ) -> None:
        self.config = config
        self.hostname = hostname
        self.sign_ins = sign_ins
        self.accounts = accounts
        self.tls = tls
        self.log = log
        self.meter = meter
        self._name = name
        self._sessions = 0

    def next_holder(self) -> str:
        """A name for the lock of one session, like no other's."""
        self._sessions += 1
        return f"{self._name}/{self._sessions}"

    async def handle(self, stream: Stream) -> None:
        """One connection, to its end."""
        await Session(self, stream).run()
