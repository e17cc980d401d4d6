"""One connection to another server: the client engine, driven over a stream.

Every failure of the peer becomes a `HostFailed`; what it says of a message or a recipient is left in
the engine's transaction.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Sequence
from typing import Protocol, TypeVar

from postillon.deliver.config import DeliverConfig
from postillon.mail.envelope import Envelope
from postillon.mail.octets import Octets
from postillon.mail.outcome import Reply, Status
from postillon.net.connect import connect
from postillon.net.limits import is_loopback
from postillon.net.stream import PlaintextInjected, Stream
from postillon.net.tls import ClientTls
from postillon.protocol.sasl.client import SaslError, choose
from postillon.protocol.smtp.client import (
    AuthReply,
    Broken,
    Closing,
    Greeting,
    Hello,
    Other,
    SmtpClientEngine,
    TlsGo,
    Transaction,
)
from postillon.route.nexthop import Host, Hosts

KEPT_PATIENCE = 20.0  # seconds; MAIL's answer on a connection kept from an earlier message

E = TypeVar("E")


class HostFailed(Exception):
    """This host cannot be used now.

    `tls`: only its TLS is at fault; `permanent`: it says so; `lost`: it went without a word.
    """

    def __init__(
        self, status: Status, *, tls: bool = False, permanent: bool = False, lost: bool = False
    ) -> None:
        super().__init__(status.text)
        self.status, self.tls, self.permanent, self.lost = status, tls, permanent, lost


class Conversation:
    """A connection that has been greeted, secured and logged in as its destination wants."""

    def __init__(self, stream: Stream, engine: SmtpClientEngine, host: Host) -> None:
        self.host = host
        self.stream = stream
        self.engine = engine
        self.messages = 0  # sent over it
        self.idle_since = 0.0  # in the loop's time
        self.idle_for = 0.0  # seconds, before the message under way

    @property
    def usable(self) -> bool:
        return self.engine.idle and not self.stream.lost and not self.stream.pending()

    async def transact(
        self,
        envelope: Envelope,
        size: int,
        chunks: Sequence[Octets],
        *,
        utf8_header: bool,
        kept: bool = False,
    ) -> Transaction:
        """Send one message. Raises CannotSend; a connection that breaks leaves replies out.

        kept: the connection was idle. If it is dead, only silence tells: it soon counts as broken.
        """
        tx = self.engine.transaction(envelope, size, chunks, utf8_header=utf8_header)
        self.messages += 1
        try:
            while not tx.finished and not self.engine.broken:
                await self._step(KEPT_PATIENCE if kept and tx.mail is None else None)
        except (OSError, TimeoutError, ssl.SSLError):
            self.engine.receive(b"")
        except BaseException:  # cancelled: nobody would close it any more
            self.stream.abort()
            raise
        return tx

    async def _step(self, patience: float | None = None) -> list[object]:
        """Write all there is to write, and take what arrives within so many seconds."""
        while data := self.engine.send():
            await self.stream.send(data)
        data = await self.stream.receive(patience or self.engine.patience)
        return list(self.engine.receive(data))

    async def expect(self, kind: type[E]) -> E:
        """Go on until an event of this kind. Raises HostFailed."""
        host = self.host.name
        try:
            while True:
                for event in await self._step():
                    if isinstance(event, kind):
                        return event
                    if isinstance(event, Closing):
                        text = "the server is not available"
                        raise HostFailed(Status("4.3.2", text, event.reply, host))
                    if isinstance(event, Broken):
                        raise HostFailed(Status("4.4.2", event.reason, host=host), lost=True)
        except TimeoutError as error:
            raise HostFailed(Status("4.4.2", "the server did not answer in time", host=host)) from (
                error
            )
        except OSError as error:
            status = Status("4.4.2", "the connection was lost", host=host)
            raise HostFailed(status, lost=True) from error

    async def quit(self) -> None:
        """Take leave if the other side still listens, and close."""
        try:
            if self.usable:
                self.engine.quit()
                async with asyncio.timeout(2):
                    await self.expect(Other)
        except (HostFailed, OSError, TimeoutError):
            pass
        finally:
            self.stream.close()


class Connect(Protocol):
    """How a connection is made: `net.connect.connect`, or a test's own network."""

    async def __call__(
        self, address: str, port: int, *, source: str | None, timeout_s: float,
        tls: ClientTls | None,
    ) -> Stream: ...  # fmt: skip


async def begin(
    hosts: Hosts,
    host: Host,
    address: str,
    hostname: str,
    config: DeliverConfig,
    *,
    clear: bool,
    connect: Connect = connect,
) -> Conversation:
    """Connect to one address of a host and come as far as the first mail transaction.

    clear: leave TLS out, because this host's has just failed and the policy can do without.
    Raises HostFailed.
    """
    policy = hosts.tls
    name = host.name
    tls = ClientTls(name, policy.verified, config.authorities or None)
    try:
        stream = await connect(
            address,
            host.port,
            source=_source(config, address),
            timeout_s=config.connect_timeout.total_seconds(),
            tls=tls if policy.implicit else None,
        )
    except ssl.SSLError as error:
        raise HostFailed(_tls_status(name, error)) from error
    except TimeoutError as error:
        raise HostFailed(Status("4.4.1", "no answer to the connection", host=name)) from error
    except OSError as error:
        raise HostFailed(Status("4.4.1", _plain(error), host=name)) from error
    except ValueError as error:
        text = f"{address[:80]!r} is no address to connect to"
        raise HostFailed(Status("4.4.1", text, host=name)) from error
    engine = SmtpClientEngine(hostname, lmtp=hosts.protocol == "lmtp")
    talk = Conversation(stream, engine, host)
    try:
        engine.start()
        _positive(name, (await talk.expect(Greeting)).reply)
        engine.ehlo()
        _positive(name, (await talk.expect(Hello)).reply)
        if policy.wanted and not policy.implicit and not clear:
            await _secure(talk, tls, required=policy.required)
        if policy.required and stream.tls is None:
            text = "the server offers no TLS, which this destination needs"
            raise HostFailed(Status("4.7.10", text, host=name))
        if hosts.user:
            await _log_in(talk, hosts.user, hosts.password)
    except BaseException:
        stream.abort()
        raise
    return talk


async def _secure(talk: Conversation, tls: ClientTls, *, required: bool) -> None:
    engine, name = talk.engine, talk.host.name
    if not engine.offers("STARTTLS"):
        return
    engine.starttls()
    said = (await talk.expect(TlsGo)).reply
    if not said.positive:
        if required:
            raise HostFailed(Status("4.7.10", "the server refused TLS", said, name), tls=True)
        return
    try:
        await talk.stream.start_tls(tls)
    except PlaintextInjected as error:  # FAULTS 3
        text = "the server sent clear text where TLS had to begin"
        raise HostFailed(Status("4.7.5", text, host=name)) from error
    except (OSError, TimeoutError, ValueError) as error:
        # ssl.SSLError is an OSError; ValueError: a name that SNI cannot hold.
        raise HostFailed(_tls_status(name, error), tls=True) from error
    engine.secured()
    engine.ehlo()
    try:
        said = (await talk.expect(Hello)).reply
    except HostFailed as error:
        # Some servers shake hands and hang up: the same as a handshake that failed.
        raise HostFailed(error.status, tls=error.lost) from error
    _positive(name, said)


async def _log_in(talk: Conversation, user: str, password: str) -> None:
    name = talk.host.name
    if talk.stream.tls is None and not _loopback(talk.stream):
        text = "the login is not sent without TLS"
        raise HostFailed(Status("4.7.10", text, host=name))
    try:
        mechanism = choose(talk.engine.mechanisms, user, password)
    except SaslError as error:
        text = "the server offers no way to log in that we know"
        raise HostFailed(Status("4.7.0", text, host=name)) from error
    talk.engine.auth(mechanism)
    answer = await talk.expect(AuthReply)
    if not answer.ok:
        text = "the server refused our login"
        raise HostFailed(Status("4.7.8", text, answer.reply, name))


def _positive(name: str, said: Reply) -> None:
    if not said.positive:
        text = "the server takes no mail from us"
        code = said.enhanced if said.enhanced[:1] in "45" and said.enhanced else "4.3.2"
        raise HostFailed(Status(code, text, said, name), permanent=said.permanent)


def _source(config: DeliverConfig, address: str) -> str | None:
    six = ":" in address
    return next((source for source in config.source if (":" in source) == six), None)


def _loopback(stream: Stream) -> bool:
    return is_loopback(stream.peer.ip)


def _tls_status(name: str, error: BaseException) -> Status:
    reason = getattr(error, "verify_message", "") or getattr(error, "reason", "") or "no handshake"
    return Status("4.7.5", f"TLS failed: {reason}", host=name)


def _plain(error: OSError) -> str:
    """A reason for people, without our own addresses in it."""
    text = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
    return (text or "the connection failed").lower()
