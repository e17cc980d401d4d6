"""A worker process: every protocol, the queue, and its own place in the store.

`Assembly` is the worker without sockets and process: each station made once and given what it needs.
Tests use it with their own clock, DNS and randomness; `Worker` puts it behind the listening sockets.
"""

from __future__ import annotations

import asyncio
import os
import random as randomness
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from aiohttp import web

from postillon.access.authority import Authority
from postillon.access.autoconfig.apple import signed
from postillon.access.autoconfig.pages import AutoconfigPages
from postillon.access.imap.server import ImapServer
from postillon.access.jmap.context import Services
from postillon.access.jmap.pusher import AGENT as PUSH_AGENT
from postillon.access.jmap.pusher import Pusher
from postillon.access.jmap.web import JmapWeb
from postillon.access.pop3.server import Pop3Server
from postillon.access.signin.provider import Provider
from postillon.access.signin.routes import routes as sign_in_routes
from postillon.access.webmail.images import IMAGE_AGENT, Images
from postillon.access.webmail.web import Webmail
from postillon.account.accounts import Accounts
from postillon.admin.hints import Hints
from postillon.clock import Clock, system_clock
from postillon.deliver.agent import DeliveryAgent
from postillon.deliver.remote import RemoteAgent
from postillon.directory import clients
from postillon.directory.credentials import Credentials
from postillon.directory.directory import Directory
from postillon.directory.signin import SignIns
from postillon.directory.throttle import Throttle
from postillon.log import SILENT, Log
from postillon.meter import SILENT_METER, Meter
from postillon.net.limits import ConnectionLimits, is_loopback
from postillon.net.listen import Handler, Listener, listen
from postillon.net.outward import Outward
from postillon.net.resolver import Resolver
from postillon.net.stream import Stream
from postillon.net.tls import ServerTls, TlsError
from postillon.queue.dsn import Reporter
from postillon.queue.rulings import Rulings
from postillon.queue.runner import QueueRunner
from postillon.queue.spool import TOPIC
from postillon.queue.submit import Submitter
from postillon.receive.smtp import SmtpServer
from postillon.route.dns import Dns
from postillon.route.nexthop import NextHops
from postillon.route.recipient import Recipients
from postillon.server import activity
from postillon.server.activity import ActivityMeter
from postillon.server.api.office import Office
from postillon.server.api.web import AdministrationApi
from postillon.server.certificates import own_certificate
from postillon.server.config import Configuration
from postillon.server.handover import Listening
from postillon.server.metrics import PrometheusMeter
from postillon.server.offered import jmap_session, offered
from postillon.server.process import main
from postillon.server.proxies import Proxies
from postillon.server.search import text_indexes
from postillon.server.sections import ListenerConfig, ListenerProtocol, TlsMode
from postillon.server.web import WebServer
from postillon.store.choice import open_any
from postillon.store.operation import EVERYTHING, Store, StoreError
from postillon.store.remembered import Remembered

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

CERTIFICATE_CHECK_S = 60.0  # between looks at the certificate's files
ACTIVITY_S = 60.0  # between writing what charts show

SmtpKind = Literal["mx", "submission", "lmtp"]
KINDS: Mapping[ListenerProtocol, SmtpKind | Literal["imap", "pop3", "web"]] = {
    ListenerProtocol.SMTP: "mx",
    ListenerProtocol.SUBMISSION: "submission",
    ListenerProtocol.SUBMISSIONS: "submission",
    ListenerProtocol.LMTP: "lmtp",
    ListenerProtocol.IMAP: "imap",
    ListenerProtocol.IMAPS: "imap",
    ListenerProtocol.POP3: "pop3",
    ListenerProtocol.POP3S: "pop3",
    ListenerProtocol.HTTP: "web",
    ListenerProtocol.HTTPS: "web",
}


@dataclass(frozen=True, slots=True)
class Words:
    """What a connection is told when it is not wanted, in the words of its protocol."""

    refusal: bytes
    farewell: bytes


SMTP_WORDS = Words(  # RFC 5321 section 3.8
    b"421 4.7.0 Too many connections, try again later\r\n", b"421 4.3.2 Server is stopping\r\n"
)
WORDS = {
    "imap": Words(  # RFC 3501 section 7.1.5
        b"* BYE Too many connections, try again later\r\n", b"* BYE Server is stopping\r\n"
    ),
    "pop3": Words(  # RFC 3206 section 3
        b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
        b"-ERR [SYS/TEMP] Server is stopping\r\n",
    ),
    "web": Words(  # RFC 6585 section 4
        b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", b""
    ),
}


class Assembly:
    """All stations of one worker over an open store."""

    def __init__(
        self,
        store: Store,
        config: Configuration,
        *,
        role: str,
        instance: str = "",
        spool_folder: Path,
        tls: ServerTls | None = None,
        dns: Dns | None = None,
        agent: DeliveryAgent | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        clock: Clock = system_clock,
        random: randomness.Random | None = None,
    ) -> None:
        hostname = config.server.hostname
        random = random or randomness.SystemRandom()
        self.config = config
        self.store = store
        self.tls = tls
        self.log = log
        self.meter = meter
        self._clock = clock
        self.directory = Directory(store)
        self._texts = text_indexes(store, config, log)
        self.accounts = Accounts(store, self._texts, Remembered(clock))
        self.sign_ins = SignIns(
            Credentials(store, config.auth, clock=clock),
            Throttle(config.auth, clock, config.http.proxies),
            bearer=config.oauth.enabled,
            metadata=_metadata(config),
        )
        self.recipients = Recipients(self.directory, config.route, Remembered(clock))
        self.next_hops = NextHops(
            dns or Resolver(config.resolver, clock),
            config.route,
            hostname=hostname,
            random=random,
            own_addresses=_own_addresses(config.listeners),
        )
        self.agent = RemoteAgent(
            self.next_hops, config.deliver, hostname=hostname, log=log, meter=meter
        )
        self.reporter = Reporter(
            store, self.recipients, config.queue, hostname=hostname, clock=clock, random=random,
            log=log, meter=meter,
        )  # fmt: skip
        rulings = Rulings(store, self.recipients, config.queue, clock=clock, log=log)
        self.runner = QueueRunner(
            store, agent or self.agent, self.reporter, config.queue, clock=clock, random=random,
            log=log, meter=meter, rulings=rulings, worker=f"{role}@{instance}",
        )  # fmt: skip
        self.submitter = Submitter(
            store, self.recipients, config.queue, runner=self.runner, rulings=rulings,
            clock=clock, log=log, meter=meter,
        )  # fmt: skip
        self.authority = Authority(self.sign_ins, log=log, meter=meter)
        self.pusher = Pusher(
            store, self.accounts,
            Outward(
                Resolver(config.resolver, clock), agent=PUSH_AGENT, ports=None,
                permitted=config.jmap.may_push_to,
            ),
            hostname=hostname, clock=clock, random=random, log=log, meter=meter,
        )  # fmt: skip
        self._hostname = hostname
        self._name = f"{role}@{instance}"
        self._spool_folder = spool_folder
        self.web = WebServer(
            self._pages().find, routes=self._routes(), proxies=Proxies(config.http.proxies),
            log=log.bind(protocol="http"), meter=meter,
        )  # fmt: skip
        self._handlers: dict[tuple[str, bool], Handler] = {}

    async def start(self) -> None:
        """Look after the queue from now on."""
        await self.pusher.start()
        await self.web.start()
        self.sign_ins.guests.start()
        await self.sign_ins.ledger.start()
        await self.runner.start()

    async def stop(self) -> None:
        """Give back what the queue has in hand."""
        await self.pusher.stop()
        await self.sign_ins.guests.stop()
        await self.sign_ins.ledger.stop()
        await self.runner.stop()
        await self.agent.stop()
        if self._texts is not None:
            self._texts.close()

    def hear(self, changes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
        """What has become durable, here or in another process: pass it to who waits for it."""
        if EVERYTHING in topics:
            self.accounts.hub.notify_all()
        self.accounts.hub.notify(changes)
        self.accounts.hear(topics)
        self.recipients.hear(topics)
        self.pusher.hear(topics)
        self.submitter.hear(topics)
        self.sign_ins.guests.hear(topics)
        self.sign_ins.ledger.hear(topics)
        if TOPIC in topics or EVERYTHING in topics:
            self.runner.wake()

    def handler(self, listener: ListenerConfig) -> Handler:
        """The session to run for each connection of a listener."""
        kind = KINDS[listener.protocol]
        secure = listener.mode is not TlsMode.NONE
        handler = self._handlers.get((kind, secure))
        if handler is None:
            tls = self.tls if secure else None
            if kind == "imap":
                handler = self._imap(tls)
            elif kind == "pop3":
                handler = self._pop3(tls)
            elif kind == "web":
                handler = self.web.handle
            else:
                handler = self._smtp(kind, tls)
            self._handlers[kind, secure] = handler
        return handler

    def _pages(self) -> AutoconfigPages:
        config, tls = self.config, self.tls
        description = offered(config.listeners, config.server.hostname, config.autoconfig)

        def sign(profile: bytes) -> bytes:
            if tls is None:
                raise ValueError("there is no certificate")
            return signed(profile, tls.certificate, tls.key)

        return AutoconfigPages(description, self.directory, sign, clock=self._clock, log=self.log)

    def _routes(self) -> list[web.RouteDef]:
        """What answers over HTTP beside the pages for client set-up."""
        config, log = self.config, self.log.bind(protocol="http")
        services = Services(
            self.store, self.accounts, self.directory, self.submitter, self.pusher, self._hostname,
            config.jmap.limits, self._clock, log,
        )  # fmt: skip
        jmap = JmapWeb(
            services, self.authority, spool=self._spool_folder, log=log, meter=self.meter
        )
        office = Office.of(
            self.store, config, self.directory, self.accounts, self.sign_ins.credentials,
            Resolver(config.resolver, self._clock), self.submitter, self._clock,
        )  # fmt: skip
        api = AdministrationApi(
            office, self.authority, self.sign_ins.throttle, log=log, meter=self.meter
        )
        resolver = Resolver(config.resolver, self._clock)
        images = Images(Outward(resolver, agent=IMAGE_AGENT), self.authority, log=log)
        return [
            *sign_in_routes(self._provider()),
            *jmap.routes(),
            *api.routes(),
            *Webmail(images, config.http.other_servers).routes(),
        ]

    def _provider(self) -> Provider:
        config = self.config
        return Provider(
            self.store, self.sign_ins, self.authority, config.oauth,
            config.autoconfig.name or config.autoconfig.hostname or config.server.hostname,
            clock=self._clock, log=self.log.bind(protocol="http"), meter=self.meter,
            named=clients.named(config.oauth),
        )  # fmt: skip

    def _imap(self, tls: ServerTls | None) -> Handler:
        return ImapServer(
            self.config.imap,
            hostname=self._hostname,
            sign_ins=self.sign_ins,
            directory=self.directory,
            accounts=self.accounts,
            tls=tls,
            log=self.log,
            meter=self.meter,
            clock=self._clock,
            spool_folder=self._spool_folder,
            jmap_url=jmap_session(
                self.config.listeners, self._hostname, self.config.autoconfig, self.config.http
            ),
        ).handle

    def _pop3(self, tls: ServerTls | None) -> Handler:
        return Pop3Server(
            self.config.pop3,
            name=self._name,
            hostname=self._hostname,
            sign_ins=self.sign_ins,
            accounts=self.accounts,
            tls=tls,
            log=self.log,
            meter=self.meter,
        ).handle

    def _smtp(self, kind: SmtpKind, tls: ServerTls | None) -> Handler:
        return SmtpServer(
            kind,
            self.config.smtp,
            hostname=self._hostname,
            directory=self.directory,
            recipients=self.recipients,
            accounts=self.accounts,
            queue=self.submitter,
            spool_folder=self._spool_folder,
            sign_ins=self.sign_ins,
            tls=tls,
            log=self.log,
            meter=self.meter,
            clock=self._clock,
        ).handle


class Worker:
    """The running process, for `process.main`."""

    def __init__(
        self,
        store: AnyStore,
        assembly: Assembly,
        role: str,
        listening: Sequence[Listening],
        log: Log,
    ) -> None:
        self.failed = store.stopped
        self._store = store
        self._assembly = assembly
        self._listening = listening
        self._log = log
        self._config = assembly.config.server
        self._hints = Hints(store, self._config.data, role, log)
        self._listeners: list[tuple[str, Listener]] = []
        self._look: asyncio.TimerHandle | None = None
        self._figures: asyncio.Task[None] | None = None
        self._open: Counter[str] = Counter()  # connections by protocol

    async def start(self) -> None:
        await self._hints.listen(self._assembly.hear)
        self._store.on_commit(self._assembly.hear)
        await self._assembly.start()
        limits = ConnectionLimits(
            self._config.max_connections, self._config.max_connections_per_address
        )
        for item in self._listening:
            protocol = item.config.protocol
            words = WORDS.get(KINDS[protocol], SMTP_WORDS)
            implicit = item.config.mode is TlsMode.IMPLICIT
            listener = listen(
                item.sock,
                self._counted(protocol.value, self._assembly.handler(item.config)),
                tls=self._assembly.tls if implicit else None,
                limits=limits,
                refusal=words.refusal,
                farewell=words.farewell,
                on_refused=partial(
                    self._assembly.meter.count, "connections_refused", protocol.value
                ),
                log=self._log.bind(protocol=protocol.value),
            )
            self._listeners.append((protocol.value, listener))
        self._look_at_certificate()
        self._figures = asyncio.create_task(self._write_figures())

    async def stop(self) -> None:
        """Finish the replies under way, then give back what is in hand, then close the store."""
        if self._look is not None:
            self._look.cancel()
        patience = self._config.stop_patience.total_seconds()
        _, *cut = await asyncio.gather(
            self._assembly.web.stop(),
            *(listener.stop(patience) for _, listener in self._listeners),
        )
        for (protocol, _), number in zip(self._listeners, cut, strict=True):
            if number:
                self._assembly.meter.count("sessions_cut", protocol, number)
        await self._assembly.stop()
        if self._figures is not None:
            self._figures.cancel()
            await self._write_activity({})
        self._hints.close()
        await self._store.close()

    def reload(self) -> None:
        tls = self._assembly.tls
        if tls is None:
            return
        try:
            if tls.reload_if_changed():
                self._log.info("certificate_reloaded", file=str(tls.certificate))
        except TlsError as error:
            self._log.error("certificate_not_usable", error=str(error))

    def _look_at_certificate(self) -> None:
        self.reload()
        self._look = asyncio.get_running_loop().call_later(
            CERTIFICATE_CHECK_S, self._look_at_certificate
        )

    async def _write_figures(self) -> None:
        while True:
            await asyncio.sleep(ACTIVITY_S)
            await self._write_activity(self._open)

    async def _write_activity(self, connections: Mapping[str, int]) -> None:
        """connections: that are open, by protocol; each worker adds them to the minute once."""
        meter = self._assembly.meter
        if not isinstance(meter, ActivityMeter):
            return
        counts = meter.take()
        counts.update({f"{activity.OPEN}{name}": n for name, n in connections.items() if n})
        try:
            await activity.write(self._store, counts, self._store.clock)
        except StoreError as error:  # charts have a gap then, and mail has none
            self._log.warning("activity_not_written", error=str(error))

    def _counted(self, protocol: str, handler: Handler) -> Handler:
        meter = self._assembly.meter

        async def counted(stream: Stream) -> None:
            meter.count("connections", protocol)
            self._open[protocol] += 1
            try:
                await handler(stream)
            finally:
                self._open[protocol] -= 1

        return counted


def _metadata(config: Configuration) -> str:
    """Where a client whose token was refused learns how to get one (RFC 7628 section 3.2.2)."""
    port = next(
        (
            item.effective_port
            for item in config.listeners
            if item.protocol is ListenerProtocol.HTTPS
        ),
        0,
    )
    if not port:
        return ""
    host = config.autoconfig.hostname or config.server.hostname
    where = host if port == 443 else f"{host}:{port}"
    return f"https://{where}/.well-known/oauth-authorization-server"


def _own_addresses(listeners: Sequence[ListenerConfig]) -> list[str]:
    """Where other servers reach us: an exchanger with such an address is ourselves."""
    return [
        listener.address
        for listener in listeners
        if listener.protocol is ListenerProtocol.SMTP
        and listener.address
        and not is_loopback(listener.address)
    ]


def server_tls(config: Configuration) -> ServerTls:
    """The configured certificate, or our own. Raises TlsError."""
    if config.tls.given:
        return ServerTls(config.tls.certificate, config.tls.key)
    return ServerTls(*own_certificate(config.server.data / "tls", [config.server.hostname]))


def _instance() -> str:
    """What all processes of one start of the server share: their supervisor, by id and birth."""
    parent = os.getppid()
    try:
        stat = Path(f"/proc/{parent}/stat").read_text()
    except OSError:
        return str(parent)
    return f"{parent}.{stat.rpartition(')')[2].split()[19]}"


async def make(config: Configuration, role: str, listening: list[Listening], log: Log) -> Worker:
    tls = server_tls(config)
    spool = config.server.data / "run" / "spool"
    spool.mkdir(mode=0o700, exist_ok=True)
    store = await open_any(config.server.data, config.store, owner=role, log=log)
    meter = ActivityMeter(PrometheusMeter() if config.metrics.enabled else SILENT_METER)
    assembly = Assembly(
        store, config, role=store.owner, instance=_instance(), spool_folder=spool, tls=tls, log=log,
        meter=meter,
    )  # fmt: skip
    return Worker(store, assembly, role, listening, log)


if __name__ == "__main__":
    main(make)
