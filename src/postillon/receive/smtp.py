"""SMTP and LMTP as we serve them: the driver where octets, rules and decisions meet.

One task a connection. Replies to commands that came together leave together; the reply to a message
leaves only once the message is durable.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Literal

from msgspec.structs import replace

from postillon.account.accounts import Accounts
from postillon.account.ids import AccountId
from postillon.clock import Clock, system_clock
from postillon.directory.directory import Directory
from postillon.directory.guests import FAREWELL, nobody
from postillon.directory.signin import Answer, Ask, Granted, SignIn, SignIns
from postillon.directory.throttle import network
from postillon.log import SILENT, Log
from postillon.mail.address import Address
from postillon.mail.dates import format_moment
from postillon.mail.envelope import Body, Envelope
from postillon.mail.octets import Octets
from postillon.mail.outcome import Reply, reply
from postillon.mail.strip import drop_bcc
from postillon.meter import SILENT_METER, Meter
from postillon.net.stream import PlaintextInjected, Stream
from postillon.net.tls import ServerTls
from postillon.protocol.smtp.server import (
    INJECTED,
    Auth,
    AuthResponse,
    ChunkEnd,
    Content,
    Data,
    End,
    Event,
    Fault,
    Hello,
    Mail,
    Offer,
    Rcpt,
    Simple,
    SmtpServerEngine,
    StartTls,
)
from postillon.queue.ids import format_queue_id, new_queue_id
from postillon.queue.submit import Submission, SubmissionRefused, Submitter
from postillon.receive import header, lmtp, trace
from postillon.receive.auth import PROTOCOL, said
from postillon.receive.checks import (
    CONTENT_CHECKS,
    MAIL_CHECKS,
    RCPT_CHECKS,
    SUBMISSION,
    Arriving,
    Client,
    Knowledge,
    release_at,
    unknown,
)
from postillon.receive.config import SmtpConfig
from postillon.receive.content import Incoming
from postillon.receive.header import TopHeader
from postillon.route.recipient import Recipients
from postillon.store.operation import StoreError, StoreFull, StoreStopped

Kind = Literal["mx", "submission", "lmtp"]
LMTP = "lmtp"

OK = reply(250, "2.0.0", "Ok")
SENDER_OK = reply(250, "2.1.0", "Sender ok")
RECIPIENT_OK = reply(250, "2.1.5", "Recipient ok")
GO_ON = reply(354, "", "End with <CRLF>.<CRLF>")
BYE = reply(221, "2.0.0", "Goodbye")
CHUNK_OK = reply(250, "2.0.0", "Chunk received")
VRFY = reply(252, "2.1.5", "Send a message and see")  # the same for every address (FAULTS 12)
NO_EXPN = reply(502, "5.5.1", "EXPN is not offered")
HELP = reply(214, "2.0.0", "See RFC 5321; mail to postmaster reaches a person")
NOT_OFFERED = reply(502, "5.5.1", "Not offered here")
TLS_FIRST = reply(530, "5.7.0", "Begin TLS first")
LOGGED_IN = reply(503, "5.5.1", "You are logged in already")
TLS_GO = reply(220, "2.0.0", "Begin TLS")
TIMED_OUT = reply(421, "4.4.2", "You were silent for too long")
TOO_MANY_ERRORS = reply(421, "4.7.0", "Too many errors")
TOO_MANY_LOGINS = reply(421, "4.7.0", "Too many failed logins")
TOO_MANY_UNKNOWN = reply(421, "4.7.1", "Too many unknown recipients")
NO_ROOM = reply(452, "4.3.1", "No room for this message at present")
SIGNED_OUT = reply(421, "4.7.0", FAREWELL)
STOPPING = reply(421, "4.3.2", "The server is stopping")
BROKEN = reply(421, "4.3.0", "Something went wrong on our side")
NOT_NOW = reply(451, "4.3.0", "The message could not be accepted; try again later")
HELD_TOO_LONG = reply(501, "5.5.4", "HOLDUNTIL is beyond the time that is offered")
NEVER_IN_TIME = reply(501, "5.5.4", "BY ends before the message is released")
HOLD_SLACK = 300_000  # ms; since the time was announced
NO_LOGIN_NOW = reply(454, "4.7.0", "Nobody can log in at present; try again later")


class SmtpServer:
    """What all connections of one kind share. submission also serves port 465, LMTP also sockets."""

    def __init__(
        self,
        kind: Kind,
        config: SmtpConfig,
        *,
        hostname: str,
        directory: Directory,
        recipients: Recipients,
        accounts: Accounts,
        queue: Submitter,
        spool_folder: Path,
        sign_ins: SignIns | None = None,
        tls: ServerTls | None = None,
        log: Log = SILENT,
        meter: Meter = SILENT_METER,
        clock: Clock = system_clock,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.kind: Kind = kind
        self.config = config
        self.hostname = hostname
        self.queue = queue
        self.spool_folder = spool_folder
        self.sign_ins = sign_ins if kind == SUBMISSION else None
        self.tls = tls
        self.log = log
        self.meter = meter
        self.clock = clock
        self.random = random
        self.postmaster = Address("postmaster", hostname.lower())
        self.knowledge = Knowledge(config, directory, recipients, accounts)
        self.content_timeout_s = config.content_timeout.total_seconds()
        self.command_timeout_s = config.command_timeout.total_seconds()
        self.transaction_timeout_s = config.transaction_timeout.total_seconds()

    async def serving_postmaster(self) -> Address:
        """Who reads the mail of this host's postmaster if the host's name is no domain of ours."""
        domains = await self.knowledge.directory.domains()
        return Address("postmaster", domains[0].name) if domains else self.postmaster

    async def handle(self, stream: Stream) -> None:
        """Serve a connection to its end. Raises nothing but CancelledError."""
        log = self.log.bind(via=self.kind, peer=stream.peer.ip)
        session = SmtpSession(self, stream, log)
        try:
            await session.run()
        except (ConnectionError, ssl.SSLError) as error:
            log.debug("connection lost", reason=str(error))
        except TimeoutError:
            stream.abort()
        except Exception as error:  # the top of a session: logged once, answered, ended
            self.meter.count("smtp_errors", self.kind)
            log.error("session failed", error=repr(error), where=_where(error))
            stream.write(bytes(BROKEN))
        finally:
            session.leave()
            stream.close()


class SmtpSession:
    """One connection: from its greeting to its end, over STARTTLS."""

    def __init__(self, server: SmtpServer, stream: Stream, log: Log) -> None:
        self._server = server
        self._config = server.config
        self._stream = stream
        self._log = log
        self._client = Client(server.kind, stream.peer.ip)
        self._hello = ""
        self._extended = False
        self._arriving: Arriving | None = None
        self._incoming: Incoming | None = None
        self._full = False  # the message that arrives found no room
        self._sign_in: SignIn | None = None
        self._out = bytearray()
        self._errors = self._failed_logins = self._unknown = 0
        self._deadline = 0.0  # monotonic; when the next command or the whole content must be here
        self._closing = False
        self._depart = nobody  # from the guests
        self._engine = SmtpServerEngine(self._offer())
        self._decide: dict[type, Callable[..., Reply | None]] = {
            Data: self._data,
            Content: self._content,
            ChunkEnd: self._chunk_end,
            Hello: self._greet,
            Simple: self._simple,
        }

    async def run(self) -> None:
        server, stream = self._server, self._stream
        server.meter.count("smtp_sessions", server.kind)
        word = "LMTP" if server.kind == LMTP else "ESMTP"
        stream.write(f"220 {server.hostname} {word} Postillon\r\n".encode())
        self._deadline = monotonic() + server.command_timeout_s
        while not self._closing:
            try:
                data = await stream.receive(self._patience())
            except TimeoutError:
                stream.write(bytes(TIMED_OUT))
                return
            if not data:
                return
            heard = False
            for event in self._engine.receive(data):
                heard = True
                await self._on(event)
                if self._closing:
                    break
            self._flush()
            await stream.drain()
            if heard and self._incoming is None:
                self._deadline = monotonic() + server.command_timeout_s

    def discard(self) -> None:
        """Forget the mail transaction."""
        self._arriving = None
        self._full = False
        if self._incoming is not None:
            self._incoming.discard()
            self._incoming = None

    # Events

    async def _on(self, event: Event) -> None:
        decide = self._decide.get(type(event))
        try:
            answer = await self._await(event) if decide is None else decide(event)
        except StoreError as error:  # no database to ask: later perhaps
            self._server.meter.count("smtp_errors", self._server.kind)
            self._log.warning("cannot look it up", error=str(error))
            answer = NO_LOGIN_NOW if isinstance(event, Auth | AuthResponse) else NOT_NOW
        if answer is None:
            return
        self._engine.answered(event, answer.code)
        self._say(answer)
        if answer.code >= 500:
            self._errors += 1
            if self._errors >= self._config.max_errors and not self._closing:
                self._hang_up(TOO_MANY_ERRORS)

    async def _await(self, event: Event) -> Reply | None:
        """What takes more than a look at the event itself."""
        match event:
            case Mail():
                return await self._mail(event)
            case Rcpt():
                return await self._rcpt(event)
            case End():
                await self._end(event)
                return None
            case StartTls():
                return await self._starttls()
            case Auth(mechanism, initial):
                return await self._auth(mechanism, initial)
            case AuthResponse(response):
                return await self._auth_response(response)
            case Fault(answer, close):
                self._closing = self._closing or close
                if answer is None:
                    self._log.info("not SMTP")
                return answer
            case _:
                raise TypeError(f"no answer to {event!r}")

    def _say(self, answer: Reply) -> None:
        self._out += bytes(answer)
        if answer.code == 421:
            self._closing = True

    def _hang_up(self, answer: Reply) -> None:
        self._say(answer)
        self._log.info("closed", reason=answer.text)

    def _flush(self) -> None:
        if self._out:
            self._stream.write(bytes(self._out))
            self._out.clear()

    def _patience(self) -> float:
        """Seconds for the next octets; a command or message that only drips in gets no more time."""
        left = self._deadline - monotonic()
        if left <= 0:
            raise TimeoutError("a command or message takes too long")
        return left if self._incoming is None else min(self._server.content_timeout_s, left)

    def _offer(self) -> Offer:
        server, config = self._server, self._config
        least = int(server.queue.config.least_deliver_by.total_seconds())
        longest = int(server.queue.config.longest_hold.total_seconds())
        secure = self._stream.tls is not None
        mechanisms: tuple[str, ...] = ()
        if server.sign_ins is not None and self._may_log_in():
            mechanisms = server.sign_ins.offered(self._stream.end_point)
        return Offer(
            max_size=config.max_size,
            lmtp=server.kind == LMTP,
            starttls=server.tls is not None and not secure,
            mechanisms=mechanisms,
            max_recipients=config.max_recipients,
            max_transactions=config.max_transactions,
            repair_lf=config.repair_lines and server.kind == SUBMISSION,
            own_domain=server.postmaster.domain,
            least_by=None if server.kind == LMTP else least,
            longest_hold=longest if server.kind == SUBMISSION else 0,
            hold_until=format_moment(server.clock() + longest * 1000),
        )

    def _may_log_in(self) -> bool:
        """FAULTS 44: no password in clear text, but perhaps from this machine itself."""
        if self._client.principal is not None:
            return False
        if self._stream.tls is not None:
            return True
        return self._config.plain_on_loopback and network(self._client.address)[1]

    def _greet(self, event: Hello) -> Reply:
        self.discard()
        self._hello = event.name
        self._extended = event.verb != "HELO"
        self._engine.offer = self._offer()
        if not self._extended:
            return reply(250, "", self._server.hostname)
        return reply(250, "", self._server.hostname, *self._engine.offer.keywords())

    def _simple(self, event: Simple) -> Reply:
        match event.verb:
            case "RSET":
                self.discard()
                return OK
            case "QUIT":
                self._closing = True
                return BYE
            case "VRFY":
                return VRFY
            case "EXPN":
                return NO_EXPN
            case "HELP":
                return HELP
        return OK

    # Logging in

    async def _starttls(self) -> Reply | None:
        server = self._server
        if server.tls is None or self._stream.tls is not None:
            return NOT_OFFERED
        self._flush()
        try:
            await self._stream.start_tls(server.tls, bytes(TLS_GO))
        except PlaintextInjected:
            self._closing = True
            return INJECTED
        # RFC 3207 section 4.2: nothing that was said before is remembered.
        self.discard()
        self._hello, self._extended, self._sign_in = "", False, None
        self._engine.close()
        self._engine = SmtpServerEngine(self._offer())
        server.meter.count("smtp_tls", self._stream.tls.version if self._stream.tls else "")
        return None

    async def _auth(self, mechanism: str, initial: bytes | None) -> Reply:
        server = self._server
        if self._client.principal is not None:
            return LOGGED_IN
        if server.sign_ins is None:
            return NOT_OFFERED
        if not self._may_log_in():
            return TLS_FIRST
        attempt = server.sign_ins.begin(PROTOCOL, self._client.address, self._stream.end_point)
        self._sign_in = attempt
        return self._logged_in(attempt, await attempt.begin(mechanism, initial))

    async def _auth_response(self, response: bytes | None) -> Reply:
        attempt = self._sign_in
        assert attempt is not None
        return self._logged_in(attempt, await attempt.respond(response))

    def _logged_in(self, attempt: SignIn, answer: Answer) -> Reply:
        if isinstance(answer, Ask):
            return said(answer)
        self._sign_in = None
        granted = isinstance(answer, Granted)
        self._server.meter.count("smtp_logins", "ok" if granted else "failed")
        if isinstance(answer, Granted):
            self._client.principal = answer.principal
            self._log = self._log.bind(login=answer.principal.login)
            self._engine.offer = self._offer()
            self._log.info("logged in", by=answer.credential)
            assert self._server.sign_ins is not None
            guests = self._server.sign_ins.guests
            self._depart = guests.enter(answer.principal.id, answer.credential, self._signed_out)
        elif attempt.failed:
            self._log.warning("login failed", login=attempt.login)
            self._failed_logins += 1
            if self._failed_logins >= self._config.max_logins:
                return TOO_MANY_LOGINS
        return said(answer)

    def _signed_out(self) -> None:
        """What has let the client in is good no longer: nothing more is taken."""
        self._log.info("signed out")
        self._closing = True
        self._stream.finish(bytes(SIGNED_OUT))

    def leave(self) -> None:
        """The connection ends."""
        self.discard()
        self._depart()

    # The mail transaction

    async def _mail(self, event: Mail) -> Reply:
        if self._stream.ending:
            return STOPPING
        for check in MAIL_CHECKS:
            refusal = await check(self._server.knowledge, self._client, event.envelope)
            if refusal is None:
                refusal = self._unkept(event.envelope)
            if refusal is not None:
                self._refused("MAIL", refusal, str(event.envelope.reverse_path or ""))
                return refusal
        self._arriving = Arriving(event.envelope)
        return SENDER_OK

    def _unkept(self, envelope: Envelope) -> Reply | None:
        """A time that cannot be kept (RFC 4865 section 4)."""
        now = self._server.clock()
        start = release_at(envelope, now)
        if start - now > self._engine.offer.longest_hold * 1000 + HOLD_SLACK:
            return HELD_TOO_LONG
        by = envelope.by
        return NEVER_IN_TIME if by is not None and start > now + by.seconds * 1000 else None

    async def _rcpt(self, event: Rcpt) -> Reply:
        server, arriving = self._server, self._arriving
        assert arriving is not None
        recipient = event.recipient
        route = server.knowledge.recipients
        lookup = await route.lookup(recipient.forward_path, may_relay=self._client.may_relay)
        if lookup.refusal is not None and recipient.forward_path == server.postmaster:
            # RFC 5321 section 4.5.1: the host's own postmaster is that of a domain we serve.
            forward_path = await server.serving_postmaster()
            recipient = replace(recipient, forward_path=forward_path)
            lookup = await route.lookup(recipient.forward_path, may_relay=False)
        for check in RCPT_CHECKS:
            refusal = await check(server.knowledge, self._client, arriving, lookup)
            if refusal is not None:
                self._refused("RCPT", refusal, str(recipient.forward_path))
                return await self._slowed(refusal) if unknown(lookup) else refusal
        arriving.recipients.append(recipient)
        arriving.lookups.append(lookup)
        return RECIPIENT_OK

    async def _slowed(self, refusal: Reply) -> Reply:
        """FAULTS 12: who guesses addresses waits, and has to come again."""
        self._unknown += 1
        if self._client.kind == LMTP:
            return refusal  # a neighbour that passes on what it was given
        if self._unknown >= self._config.close_after:
            self._log.warning("address harvest", unknown=self._unknown)
            return TOO_MANY_UNKNOWN
        delay = self._config.harvest_delay.total_seconds()
        if self._unknown > self._config.slow_after and delay:
            self._flush()
            await asyncio.sleep(delay)
        return refusal

    def _data(self, event: Data) -> Reply:
        self._begin_content()
        return GO_ON

    def _begin_content(self) -> Incoming:
        self._incoming = Incoming(self._server.spool_folder, self._config.memory)
        self._deadline = monotonic() + self._server.transaction_timeout_s
        return self._incoming

    def _content(self, event: Content) -> None:
        if self._full or not event.octets:
            return
        incoming = self._incoming or self._begin_content()
        try:
            incoming.add(event.octets)
        except OSError as error:
            self._log.error("no room for content", error=str(error))
            incoming.discard()
            self._full = True

    def _chunk_end(self, event: ChunkEnd) -> Reply:
        if event.refusal is not None:
            return event.refusal
        return NO_ROOM if self._full else CHUNK_OK

    async def _end(self, event: End) -> None:
        """The message is here: accept it or refuse it, once for all or, in LMTP, for each recipient."""
        arriving, incoming, full = self._arriving, self._incoming, self._full
        self._arriving, self._incoming, self._full = None, None, False
        assert arriving is not None
        self._client.transactions += 1
        count = len(arriving.recipients) if self._client.kind == LMTP else 1
        refusal = event.refusal or (NO_ROOM if full else None)
        if refusal is not None:
            if incoming is not None:
                incoming.discard()
            self._refused("content", refusal, str(arriving.envelope.reverse_path or ""))
            answers = [refusal] * count
        else:
            content = b"" if incoming is None else self._finished(incoming)
            answers = (
                [NO_ROOM] * count if content is None else await self._accept(arriving, content)
            )
        for answer in answers:
            self._say(answer)

    def _finished(self, incoming: Incoming) -> Octets | None:
        try:
            return incoming.finish()
        except OSError as error:
            self._log.error("no room for content", error=str(error))
            return None

    async def _accept(self, arriving: Arriving, content: Octets) -> list[Reply]:
        server, client = self._server, self._client
        count = len(arriving.recipients) if client.kind == LMTP else 1
        now = server.clock()
        queue_id = new_queue_id(now)
        name = format_queue_id(queue_id)
        lines = trace.received(
            stream=self._stream,
            client=client,
            hello=self._hello,
            extended=self._extended,
            arriving=arriving,
            hostname=server.hostname,
            queue_id=name,
            now=now,
        )
        if client.principal is not None:
            found = header.read(content)
            refusal = await self._check_content(arriving, found)
            if refusal is not None:
                self._refused("content", refusal, str(arriving.envelope.reverse_path or ""))
                return [refusal] * count
            author = arriving.envelope.reverse_path or client.principal.address
            lines += header.completion(found, author, server.hostname, now, server.random)
            content = drop_bcc(content)
        submission = Submission(
            envelope=arriving.envelope.to(*arriving.recipients),
            content=content,
            header=lines,
            submitter=AccountId(client.principal.id) if client.principal is not None else None,
            facts=trace.facts(self._stream, client, self._hello, arriving),
            queue_id=queue_id,
            answered=server.kind == LMTP,
            release_at=release_at(arriving.envelope, now),
            lookups=arriving.lookups,
            pure=arriving.envelope.body is not Body.BINARY,  # the engine lets nothing else pass
        )
        began = monotonic()
        try:
            accepted = await server.queue.submit(submission)
        except SubmissionRefused as refused:
            code = 554 if refused.permanent else 451
            answer = reply(code, refused.status.code, refused.status.text)
            self._refused("content", answer, str(arriving.envelope.reverse_path or ""))
            return [answer] * count
        except StoreFull:
            return [NO_ROOM] * count
        except StoreStopped:
            return [STOPPING] * count
        except StoreError as error:  # the database is away
            server.meter.count("smtp_errors", server.kind)
            self._log.warning("cannot be kept", queue_id=name, error=str(error))
            return [NOT_NOW] * count
        except Exception as error:  # one message's trouble must not end the connection
            server.meter.count("smtp_errors", server.kind)
            self._log.error("submit failed", queue_id=name, error=repr(error), where=_where(error))
            return [NOT_NOW] * count
        if accepted.queue_id != queue_id:  # ours was taken already
            name = format_queue_id(accepted.queue_id)
        server.meter.observe("smtp_submit", monotonic() - began)
        server.meter.count("smtp_messages", server.kind)
        server.meter.count("smtp_octets", server.kind, len(content))
        self._log.info(
            "accepted",
            queue_id=name,
            sender=str(arriving.envelope.reverse_path or ""),
            recipients=len(arriving.recipients),
            size=len(content),
        )
        if client.kind == LMTP:
            return lmtp.replies(accepted.outcomes, name)
        return [reply(250, "2.0.0", f"Accepted as {name}")]

    async def _check_content(self, arriving: Arriving, found: TopHeader) -> Reply | None:
        try:
            for check in CONTENT_CHECKS:
                refusal = await check(self._server.knowledge, self._client, arriving, found)
                if refusal is not None:
                    return refusal
        except StoreError as error:
            self._log.warning("cannot look it up", error=str(error))
            return NOT_NOW
        return None

    def _refused(self, stage: str, refusal: Reply, address: str) -> None:
        self._server.meter.count("smtp_refused", refusal.enhanced)
        self._log.info("refused", stage=stage, address=address, reply=str(refusal))


def _where(error: BaseException) -> str:
    """The innermost line of an unforeseen error, for the log."""
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    return "" if place is None else f"{place.tb_frame.f_code.co_filename}:{place.tb_lineno}"
