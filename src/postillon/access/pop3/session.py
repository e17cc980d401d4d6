"""One connection of a POP3 client (RFC 1939): from octets to commands, from answers to octets.

Who somebody is is settled in `entry`, what is done with messages in `messages`. Answers are collected
and sent when all that has arrived is done: clients pipeline (RFC 2449 section 6.6).
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from postillon.access.pop3 import entry, messages
from postillon.access.talk import Talk
from postillon.account.errors import AccountError, MailboxNotFound, MaildropInUse, MaildropLost
from postillon.account.maildrop import Maildrop
from postillon.directory.guests import FAREWELL
from postillon.directory.principals import Principal
from postillon.directory.signin import Granted, SignIn
from postillon.net.stream import PlaintextInjected, Stream
from postillon.protocol.pop3.engine import Command, Event, Line, Pop3Engine, Refusal
from postillon.protocol.pop3.writer import err, ok
from postillon.store.operation import BlobLost, StoreError

if TYPE_CHECKING:
    from postillon.access.pop3.server import Pop3Server

RENEWALS = 3  # times a lock is renewed while it would last

Handler = Callable[["Session", Command], Awaitable[bytes]]

# RFC 1939 sections 4 and 5, RFC 2449, RFC 2595, RFC 5034, RFC 6856.
ANYTIME: dict[str, Handler] = {"CAPA": entry.capabilities, "QUIT": entry.quit_}
AUTHORIZATION: dict[str, Handler] = ANYTIME | {
    "USER": entry.user,
    "PASS": entry.password,
    "AUTH": entry.authenticate,
    "STLS": entry.start_tls,
    "UTF8": entry.utf8,
}
TRANSACTION: dict[str, Handler] = ANYTIME | {
    "STAT": messages.stat,
    "LIST": messages.list_,
    "UIDL": messages.uidl,
    "RETR": messages.retrieve,
    "TOP": messages.top,
    "DELE": messages.delete,
    "RSET": messages.reset,
    "NOOP": messages.nothing,
}

# What others refuse, said in POP3's way (RFC 2449 section 8.1, RFC 3206).
REFUSALS: dict[type[Exception], tuple[str, str]] = {
    MaildropInUse: ("IN-USE", "Another session has the mailbox; try again in a minute"),
    MaildropLost: ("IN-USE", "Another session has taken the mailbox over; nothing was deleted"),
    MailboxNotFound: ("SYS/PERM", "The mailbox is not available"),
    BlobLost: ("SYS/PERM", "This message is damaged"),
    StoreError: ("SYS/TEMP", "Try again later"),
    AccountError: ("SYS/TEMP", "Try again later"),
}


@dataclass(slots=True)
class Open:
    """The maildrop of who has signed in, and what this session has done with it."""

    principal: Principal
    drop: Maildrop
    read: set[int] = field(default_factory=set)  # numbers from 0, given out by RETR
    deleted: set[int] = field(default_factory=set)
    renewed_at: float = 0.0  # of the loop's clock


class Session(Talk):
    __slots__ = ("_deadline", "_wrong", "closing", "engine", "failed_logins",
                 "log", "mailbox", "server", "user")  # fmt: skip

    def __init__(self, server: Pop3Server, stream: Stream) -> None:
        self.server = server
        super().__init__(stream)
        self.engine = Pop3Engine()
        self.mailbox: Open | None = None
        self.user = b""  # said with USER
        self.closing = False
        self.failed_logins = 0
        self.log = server.log.bind(protocol="pop3", peer=stream.peer.ip)
        self._deadline = 0.0  # of the loop's clock: when a client must have signed in
        self._wrong = 0  # faulty commands in a row

    @property
    def opened(self) -> Open:
        assert self.mailbox is not None  # the tables above see to it
        return self.mailbox

    def sign_in(self) -> SignIn:
        """One attempt of this client."""
        stream = self.stream
        return self.server.sign_ins.begin(entry.PROTOCOL, stream.peer.ip, stream.end_point)

    def refused(self, login: str) -> None:
        """A sign-in has failed; after some of them the connection ends."""
        self.server.meter.count("pop3_failed_logins")
        self.log.info("login_failed", login=login)
        self.failed_logins += 1
        self.closing = self.failed_logins >= self.server.config.wrong_commands

    async def enter(self, granted: Granted) -> None:
        """Take the maildrop of who has signed in. Raises MaildropInUse, StoreError."""
        server, principal = self.server, granted.principal
        drop = server.accounts.maildrop(principal.id, server.next_holder(), server.config.hold_time)
        await drop.open()
        self.mailbox = Open(principal, drop, renewed_at=self._now())
        self.log = self.log.bind(account=principal.id)
        tls = self.stream.tls is not None
        self.log.info(
            "login", login=principal.login, by=granted.credential, tls=tls, messages=len(drop.uids)
        )
        server.meter.count("pop3_logins")
        self.stay(server.sign_ins.guests, granted, self._signed_out)

    def _signed_out(self) -> None:
        """What has let the client in is good no longer. Without QUIT nothing is deleted."""
        self.log.info("signed_out")
        self.closing = True
        self.part(err(FAREWELL, "AUTH"))

    def restart(self) -> None:
        """TLS has begun: everything heard before is forgotten (RFC 2595 section 4)."""
        self.engine = Pop3Engine()
        self.user = b""
        self.failed_logins = self._wrong = 0

    # Output

    async def breathe(self) -> None:
        """Between the portions of a long answer: send, keep the lock, and let others work."""
        await self.flush_enough()
        await self._hold()
        await asyncio.sleep(0)

    # The conversation

    async def run(self) -> None:
        """To the end of the connection, whatever happens."""
        self.server.meter.count("pop3_connections")
        self._deadline = self._now() + self.server.config.login_time.total_seconds()
        try:
            self.say(ok(f"{self.server.hostname} ready"))
            await self.flush()
            while not self.closing and (data := await self._receive()):
                await self._converse(data)
        except PlaintextInjected:
            self.log.warning("clear_text_after_starttls")
        except (OSError, TimeoutError) as error:
            self.log.debug("connection_lost", error=str(error))
        except Exception as error:
            self._fault("session_failed", error)
        finally:
            self.depart()
            await self._leave()
            self.stream.close()

    async def line(self) -> bytes:
        """The client's answer to a challenge.

        Raises ConnectionError when none comes.
        """
        self.engine.expect_line()
        data = b""
        while True:
            for event in self.engine.receive(data):
                if isinstance(event, Line):
                    return event.data
                raise ConnectionResetError("the line is too long")
            await self.flush()
            data = await self._receive()
            if not data:
                raise ConnectionResetError("the client is gone")

    async def _receive(self) -> bytes:
        """Octets of the client; b"" when it is time to go, without an UPDATE (RFC 1939 section 3)."""
        patience = self.server.config.quiet_time.total_seconds()
        if self.mailbox is None:
            patience = max(self._deadline - self._now(), 0.01)
        try:
            return await self.stream.receive(patience)
        except TimeoutError:
            self.say(err("Closed for inactivity"))
            await self.flush()
            return b""

    async def _converse(self, data: bytes) -> None:
        engine = self.engine
        for event in engine.receive(data):
            await self._act(event)
            await self.flush_enough()
            if self.closing or self.engine is not engine:
                break  # nothing that came before TLS is used after it (FAULTS 2)
        await self.flush()

    async def _act(self, event: Event) -> None:
        if isinstance(event, Command):
            table = AUTHORIZATION if self.mailbox is None else TRANSACTION
            handler = table.get(event.verb)
            if handler is not None:
                self._wrong = 0
                self.say(await self._answer(handler, event))
                return
            known = event.verb in AUTHORIZATION or event.verb in TRANSACTION
            text = "Not now" if known else "Unknown command"
            self.say(err(text))
        elif isinstance(event, Refusal):
            self.say(err(event.text))
            self.closing = self.closing or event.fatal
        self._wrong += 1
        if self._wrong >= self.server.config.wrong_commands:
            self.say(err("Too many faulty commands"))
            self.closing = True

    async def _answer(self, handler: Handler, command: Command) -> bytes:
        try:
            await self._hold()
            return await handler(self, command)
        except (AccountError, StoreError) as error:
            self.log.info("refused", verb=command.verb, reason=str(error))
            self.closing = self.closing or isinstance(error, MaildropLost)
            kind = next(kind for kind in type(error).__mro__ if kind in REFUSALS)
            code, text = REFUSALS[kind]
            return err(text, code)
        except (OSError, TimeoutError, PlaintextInjected):
            raise
        except Exception as error:
            self._fault("command_failed", error, verb=command.verb)
            return err("Internal error, please try again", "SYS/TEMP")

    async def _hold(self) -> None:
        """Keep the lock while the client is active. Raises MaildropLost."""
        mailbox = self.mailbox
        if mailbox is None:
            return
        every = self.server.config.hold_time.total_seconds() / RENEWALS
        if self._now() - mailbox.renewed_at >= every:
            await mailbox.drop.renew()
            mailbox.renewed_at = self._now()

    async def _leave(self) -> None:
        """The connection ends. Without QUIT nothing is deleted (RFC 1939 section 3)."""
        mailbox, self.mailbox = self.mailbox, None
        if mailbox is None:
            return
        try:
            await mailbox.drop.leave()
        except StoreError as error:
            self.log.warning("maildrop_kept", error=str(error))  # its lock ends by itself

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _fault(self, event: str, error: Exception, **fields: object) -> None:
        """Log what should not have happened, once."""
        where = "".join(traceback.format_exception(error))
        self.log.error(event, error=repr(error), trace=where[-900:], **fields)
        self.server.meter.count("pop3_faults")
