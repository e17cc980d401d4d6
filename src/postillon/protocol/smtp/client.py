"""The client's side of SMTP and LMTP, without the connection (RFC 5321, 2033, 2920).

    engine.start()                       # then events of receive(): Greeting, Hello, ...
    tx = engine.transaction(envelope, size, [header, content])
    while not tx.finished:
        if data := engine.send(): write it
        else: engine.receive(what arrives within engine.patience seconds, b"" at the end)
    tx.reply_for(n)                      # what decided about recipient n; None: the connection was lost

Commands go out in groups where the server allows it. Every bare CR or LF of the content is sent as
CRLF, and a last line without its end gets one: nothing else of a message is ever changed.
"""

from __future__ import annotations

import base64
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from postillon.mail.address import Address
from postillon.mail.envelope import Body, DeliverBy, Envelope, Notify, Recipient
from postillon.mail.octets import Octets
from postillon.mail.outcome import Reply, Status, reply
from postillon.protocol.sasl.client import ClientMechanism, SaslError
from postillon.protocol.smtp.content import pieces, stuffed
from postillon.protocol.smtp.grammar import encode_xtext, mail_command, rcpt_command
from postillon.protocol.smtp.replies import BadReply, ReplyReader

# Seconds to wait for the reply, RFC 5321 section 4.5.3.2.
GREETING_TIMEOUT = 300
COMMAND_TIMEOUT = 300  # EHLO, MAIL, RCPT
DATA_TIMEOUT = 120
BLOCK_TIMEOUT = 180  # for a piece of content to be taken
FINAL_TIMEOUT = 600
QUIT_TIMEOUT = 10  # nobody's mail depends on it

MAX_RECIPIENTS = 100  # of one transaction; what every server must take (section 4.5.3.1.8)
MAX_CHALLENGES = 5  # of one AUTH


class CannotSend(Exception):
    """This host cannot take this message. Nothing was sent; the session is as before."""

    def __init__(self, status: Status) -> None:
        super().__init__(status.text)
        self.status = status


class Greeting(NamedTuple):
    reply: Reply


class Hello(NamedTuple):
    reply: Reply


class TlsGo(NamedTuple):
    """Positive: begin TLS now, then `secured()` and `ehlo()`."""

    reply: Reply


class AuthReply(NamedTuple):
    """`ok` only when the server has also proved what the mechanism asks of it."""

    reply: Reply
    ok: bool


class MailReply(NamedTuple):
    reply: Reply


class RcptReply(NamedTuple):
    recipient: int
    reply: Reply


class DataGo(NamedTuple):
    reply: Reply


class Done(NamedTuple):
    """The reply to the content. LMTP gives one for each accepted recipient; else it is for all."""

    recipient: int | None
    reply: Reply


class Other(NamedTuple):
    """The reply to RSET, NOOP or QUIT."""

    verb: str
    reply: Reply


class Closing(NamedTuple):
    """421: the server is going away."""

    reply: Reply


class Broken(NamedTuple):
    """The connection is of no use any more."""

    reason: str


Event = (
    Greeting
    | Hello
    | TlsGo
    | AuthReply
    | MailReply
    | RcptReply
    | DataGo
    | Done
    | Other
    | Closing
    | Broken
)
Handler = Callable[[Reply], None]


class Transaction:
    """One mail transaction and what the server said to each part of it."""

    def __init__(self, envelope: Envelope) -> None:
        self.envelope = envelope
        self.mail: Reply | None = None
        self.recipients: list[Reply | None] = [None] * len(envelope.recipients)
        self.data: Reply | None = None
        self.final: list[Reply | None] = [None] * len(envelope.recipients)
        self.finished = False
        self.content_sent = (
            False  # the end of content went out: without a final reply it is in doubt
        )

    def reply_for(self, recipient: int) -> Reply | None:
        """What decided about a recipient; None if the connection ended before that."""
        own = self.recipients[recipient]
        if own is not None and not own.positive and own.code != 503:
            return own
        if self.mail is None or not self.mail.positive:
            return self.mail
        if own is None or not own.positive:
            return own
        if self.data is not None and self.data.code >= 400:
            return self.data
        return self.final[recipient]

    @property
    def accepted(self) -> list[int]:
        """The recipients that RCPT has let in."""
        return [n for n, said in enumerate(self.recipients) if said is not None and said.positive]


class SmtpClientEngine:
    """One conversation. `extensions` are of the last EHLO, keywords in upper case."""

    def __init__(self, hostname: str, *, lmtp: bool = False) -> None:
        self.hostname = hostname
        self.lmtp = lmtp
        self.greeted = False
        self.extensions: dict[str, str] = {}
        self.broken = ""  # why the connection is of no use; "" while it is
        self._reader = ReplyReader()
        self._expected: deque[tuple[int, Handler]] = deque()
        self._events: list[Event] = []
        self._out = bytearray()
        self._content: Iterator[bytes] | None = None
        self._piece = b""  # of `_content`, the one to send next
        self._tx: Transaction | None = None
        self._chunks: Iterable[Octets] = ()
        self._to_rcpt: deque[int] = deque()  # not sent yet: the server takes one command at a time
        self._last = False  # `_content` holds the end of the message
        self._pieces: Iterator[bytes] | None = None  # of binary content, what is left
        self._pieces_left = True
        self._must_reset = False  # the server's transaction is open, though ours is over
        self._challenges = 0

    # What a driver asks

    @property
    def patience(self) -> int:
        """Seconds to wait for what comes next."""
        if self._content is not None:
            return BLOCK_TIMEOUT
        return self._expected[0][0] if self._expected else COMMAND_TIMEOUT

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: a new command or transaction may begin."""
        return not (self.broken or self._expected or self._out or self._tx) and self.greeted

    def offers(self, keyword: str) -> bool:
        return keyword in self.extensions

    @property
    def mechanisms(self) -> tuple[str, ...]:
        return tuple(self.extensions.get("AUTH", "").upper().split())

    @property
    def max_size(self) -> int | None:
        """Octets this server takes; None: it does not say (RFC 1870)."""
        word = self.extensions.get("SIZE", "")
        return (
            int(word)
            if word.isascii() and word.isdigit() and 0 < len(word) < 20 and int(word)
            else None
        )

    @property
    def recipient_limit(self) -> int:
        """Recipients to put into one transaction (RFC 9422)."""
        return min(self.limits.get("RCPTMAX", MAX_RECIPIENTS) or 1, MAX_RECIPIENTS)

    @property
    def limits(self) -> dict[str, int]:
        """LIMITS: RCPTMAX, MAILMAX, RCPTDOMAINMAX as far as given (RFC 9422)."""
        found = {}
        for word in self.extensions.get("LIMITS", "").upper().split():
            name, _, value = word.partition("=")
            if value.isascii() and value.isdigit() and len(value) <= 6:
                found[name] = int(value)
        return found

    # What a driver does

    def start(self) -> None:
        """Expect the greeting."""
        self._expect(GREETING_TIMEOUT, self._on_greeting)

    def ehlo(self) -> None:
        """EHLO, with HELO after a refusal (section 3.2); LHLO for LMTP."""
        self.extensions = {}
        self._command(f"{'LHLO' if self.lmtp else 'EHLO'} {self.hostname}", self._on_ehlo)

    def starttls(self) -> None:
        self._command("STARTTLS", self._on_starttls)

    def secured(self) -> None:
        """TLS is up: what was said before it is forgotten (RFC 3207 section 4.2)."""
        self.extensions = {}

    def auth(self, mechanism: ClientMechanism) -> None:
        line = f"AUTH {mechanism.name}"
        if mechanism.initial is not None:
            line += " " + (base64.b64encode(mechanism.initial).decode() or "=")
        self._challenges = 0
        self._command(line, lambda said: self._on_auth(mechanism, said))

    def rset(self) -> None:
        self._command("RSET", lambda said: self._events.append(Other("RSET", said)))

    def noop(self) -> None:
        self._command("NOOP", lambda said: self._events.append(Other("NOOP", said)))

    def quit(self) -> None:
        self._command("QUIT", lambda said: self._events.append(Other("QUIT", said)), QUIT_TIMEOUT)

    def transaction(
        self,
        envelope: Envelope,
        size: int,
        chunks: Iterable[Octets],
        *,
        utf8_header: bool = False,
    ) -> Transaction:
        """Begin to send a message of `size` octets.

        envelope: at most `recipient_limit` recipients; a recipient this host cannot be told of is
        refused on the spot with a reply of ours. utf8_header: the header holds more than ASCII, so
        SMTPUTF8 is needed. Raises CannotSend.
        """
        if not self.idle:
            raise RuntimeError("something else is under way")
        wishes = self._mail_wishes(envelope, size, utf8_header)
        tx = self._tx = Transaction(envelope)
        self._chunks = chunks
        for number, recipient in enumerate(envelope.recipients):
            if recipient.forward_path.ascii or self.offers("SMTPUTF8"):
                self._to_rcpt.append(number)
            else:
                tx.recipients[number] = reply(
                    553, "5.6.7", "The next host takes no addresses beyond ASCII"
                )
        mail = mail_command(envelope.reverse_path, wishes)
        must_reset, self._must_reset = self._must_reset, False
        if not self.offers("PIPELINING"):
            if must_reset:
                self._command("RSET", lambda said: self._command(mail, self._on_mail))
            else:
                self._command(mail, self._on_mail)
            return tx
        if must_reset:
            self._command("RSET", lambda said: None)
        self._command(mail, self._on_mail)
        data = bool(self._to_rcpt) and envelope.body is not Body.BINARY
        while self._to_rcpt:
            self._send_rcpt(self._to_rcpt.popleft())
        if data:
            self._command("DATA", self._on_data, DATA_TIMEOUT)
        return tx

    def send(self) -> bytes:
        """What to write now; b"" when it is the server's turn. Content comes in pieces."""
        if self._out:
            data = bytes(self._out)
            self._out.clear()
            return data
        if self._content is not None:
            piece = self._piece
            self._piece = next(self._content, b"")
            if not self._piece:  # looked ahead, so that the reply may follow the last piece at once
                self._content = None
                if self._tx is not None and self._last:
                    self._tx.content_sent = True
            return piece
        return b""

    def receive(self, data: bytes) -> list[Event]:
        """Take what has arrived, b"" at its end, and say what it means."""
        if not data:
            self._break("the connection ended")
        else:
            self._reader.feed(data)
            try:
                while not self.broken and (said := self._reader.next()) is not None:
                    self._on_reply(said)
            except BadReply as error:
                self._break(str(error))
        events, self._events = self._events, []
        return events

    # Inside

    def _expect(self, timeout: int, handler: Handler) -> None:
        self._expected.append((timeout, handler))

    def _command(self, line: str, handler: Handler, timeout: int = COMMAND_TIMEOUT) -> None:
        if "\r" in line or "\n" in line or "\0" in line:
            raise ValueError("a command holds CR, LF or NUL")  # FAULTS 30
        self._out += line.encode() + b"\r\n"
        self._expect(timeout, handler)

    def _break(self, reason: str) -> None:
        if not self.broken:
            self.broken = reason
            self._events.append(Broken(reason))
        self._expected.clear()
        self._out.clear()
        self._content = None
        if self._tx is not None:
            self._tx.finished = True
            self._tx = None

    def _on_reply(self, said: Reply) -> None:
        if said.code == 421:  # may come at any time (section 3.8)
            self._events.append(Closing(said))
            if self._expected:
                self._fail_open(said)
            self._break("the server closes: " + said.text)
        elif not self._expected:
            self._break("a reply to nothing")
        else:
            self._expected.popleft()[1](said)

    def _fail_open(self, said: Reply) -> None:
        """421 answers all that is open in the transaction."""
        tx = self._tx
        if tx is None:
            return
        if tx.mail is None:
            tx.mail = said
        tx.recipients = [said if known is None else known for known in tx.recipients]
        tx.final = [said if known is None else known for known in tx.final]

    def _on_greeting(self, said: Reply) -> None:
        self._events.append(Greeting(said))
        if said.code != 220:
            self._break(f"greeted with {said}")

    def _on_ehlo(self, said: Reply) -> None:
        if said.code == 250:
            self.greeted = True
            for line in said.lines[1:]:
                keyword, _, words = line.partition(" ")
                # "AUTH=PLAIN" is how old servers announce it.
                keyword, equals, more = keyword.upper().partition("=")
                self.extensions[keyword] = f"{more} {words}".strip() if equals else words.strip()
        elif said.permanent and not self.lmtp:
            self._command(f"HELO {self.hostname}", self._on_helo)
            return
        self._events.append(Hello(said))

    def _on_helo(self, said: Reply) -> None:
        self.greeted = said.code == 250
        self._events.append(Hello(said))

    def _on_starttls(self, said: Reply) -> None:
        if said.code == 220 and not self._reader.clean:
            self._break("more than the reply came in clear text before TLS")  # FAULTS 3
            return
        self._events.append(TlsGo(said))

    def _on_auth(self, mechanism: ClientMechanism, said: Reply) -> None:
        if said.code != 334:
            ok = said.code == 235
            if ok:
                try:
                    mechanism.finish()
                except SaslError:
                    ok = False
            self._events.append(AuthReply(said, ok))
            return
        self._challenges += 1
        try:
            if self._challenges > MAX_CHALLENGES:
                raise SaslError("too many challenges")
            challenge = base64.b64decode("".join(said.lines).strip(), validate=True)
            answer = base64.b64encode(mechanism.respond(challenge)).decode()
        except (SaslError, ValueError):
            answer = "*"
        self._command(answer, lambda more: self._on_auth(mechanism, more))

    def _mail_wishes(self, envelope: Envelope, size: int, utf8_header: bool) -> dict[str, str]:
        limit = self.max_size
        if limit is not None and size > limit:
            raise CannotSend(
                Status("5.3.4", f"The message of {size} octets exceeds the {limit} its host takes")
            )
        sender = envelope.reverse_path
        utf8 = utf8_header or (sender is not None and not sender.ascii)
        if utf8 and not self.offers("SMTPUTF8"):
            raise CannotSend(Status("5.6.7", "The next host takes no message that needs SMTPUTF8"))
        binary = envelope.body is Body.BINARY
        if binary and not (self.offers("BINARYMIME") and self.offers("CHUNKING")):
            raise CannotSend(Status("5.6.3", "The next host takes no binary content"))
        wishes: dict[str, str] = {}
        if self.offers("SIZE"):
            wishes["SIZE"] = str(size)
        if binary or (envelope.body is Body.EIGHT_BIT and self.offers("8BITMIME")):
            # Deviates: to a host without 8BITMIME 8-bit content goes as it is; changing it would
            # break signatures, and none that lacks the extension today minds.
            wishes["BODY"] = envelope.body.value
        needed = any(not one.forward_path.ascii for one in envelope.recipients)
        if self.offers("SMTPUTF8") and (utf8 or needed):
            wishes["SMTPUTF8"] = ""
        if envelope.by is not None and self.offers("DELIVERBY"):
            wishes["BY"] = f"{self._by(envelope.by).seconds};{envelope.by.mode}"
        elif envelope.by is not None and envelope.by.returns and not self.lmtp:
            raise CannotSend(Status("5.3.3", "The next host cannot promise a time of delivery"))
        if self.offers("DSN"):
            if envelope.ret_full is not None:
                wishes["RET"] = "FULL" if envelope.ret_full else "HDRS"
            if envelope.envid:
                wishes["ENVID"] = encode_xtext(envelope.envid)
        return wishes

    def _by(self, by: DeliverBy) -> DeliverBy:
        """RFC 2852 section 4: as it is, unless there is less time than the host takes."""
        least = self.extensions["DELIVERBY"]
        if by.returns and by.seconds < (int(least) if least.isdigit() and len(least) < 10 else 1):
            raise CannotSend(Status("5.4.7", "There is less time left than the next host needs"))
        return by

    def _send_rcpt(self, number: int) -> None:
        assert self._tx is not None
        recipient = self._tx.envelope.recipients[number]
        wishes = rcpt_wishes(recipient) if self.offers("DSN") else {}
        path: Address = recipient.forward_path
        self._command(rcpt_command(path, wishes), lambda said: self._on_rcpt(number, said))

    def _on_mail(self, said: Reply) -> None:
        assert self._tx is not None
        self._tx.mail = said
        self._events.append(MailReply(said))
        if not said.positive:
            self._to_rcpt.clear()
            if not self._expected:
                self._finish()
        elif not self._expected:
            self._go_on()

    def _on_rcpt(self, number: int, said: Reply) -> None:
        assert self._tx is not None
        self._tx.recipients[number] = said
        self._events.append(RcptReply(number, said))
        if not self._expected:
            self._go_on()

    def _go_on(self) -> None:
        """What follows when the server takes one command at a time, or content is binary."""
        tx = self._tx
        assert tx is not None
        if self._to_rcpt:
            self._send_rcpt(self._to_rcpt.popleft())
        elif tx.mail is None or not tx.mail.positive or not tx.accepted:
            self._must_reset = tx.mail is not None and tx.mail.positive
            self._finish()
        elif tx.envelope.body is Body.BINARY:
            self._begin(self._binary())
            self._expect(FINAL_TIMEOUT, self._on_chunk)
        else:
            self._command("DATA", self._on_data, DATA_TIMEOUT)

    def _on_data(self, said: Reply) -> None:
        tx = self._tx
        assert tx is not None
        tx.data = said
        self._events.append(DataGo(said))
        if said.code != 354:
            if said.positive:
                self._break(f"DATA was answered with {said.code}")
                return
            self._must_reset = tx.mail is not None and tx.mail.positive
            self._finish()
            return
        # RFC 2920 section 3.1: DATA may be accepted though no recipient was; then nothing is sent.
        self._begin(stuffed(self._chunks) if tx.accepted else iter((b".\r\n",)), last=True)
        self._expect_final(self._on_final)

    def _begin(self, content: Iterator[bytes], *, last: bool = False) -> None:
        self._content, self._last = content, last
        self._piece = next(content)

    def _expect_final(self, handler: Callable[[int | None, Reply], None]) -> None:
        tx = self._tx
        assert tx is not None
        if self.lmtp:
            for number in tx.accepted:  # RFC 2033 section 4.2, in the order of RCPT
                self._expect(FINAL_TIMEOUT, lambda said, number=number: handler(number, said))  # type: ignore[misc]  # default argument binds the loop's value
            if not tx.accepted:
                self._expect(FINAL_TIMEOUT, lambda said: handler(None, said))
        else:
            self._expect(FINAL_TIMEOUT, lambda said: handler(None, said))

    def _on_final(self, recipient: int | None, said: Reply) -> None:
        tx = self._tx
        assert tx is not None
        early = self._content is not None
        if early and said.positive:
            self._break(f"the server answered {said} before the end of content")
            return
        for number in tx.accepted if recipient is None else [recipient]:
            tx.final[number] = said
        self._events.append(Done(recipient, said))
        if early:  # a refusal that could not wait, as of size: the rest cannot be taken back
            self._break("the server refused before the end of content")
        elif not self._expected:
            self._finish()

    def _on_chunk(self, said: Reply) -> None:
        """The reply to BDAT: the next chunk after a good one, the end after the last (RFC 3030)."""
        tx = self._tx
        assert tx is not None
        if said.positive and self._pieces_left:
            self._begin(self._binary())
            self._expect(FINAL_TIMEOUT, self._on_chunk)
        elif said.positive:
            self._begin(iter((b"BDAT 0 LAST\r\n",)), last=True)
            self._expect_final(self._on_final)
        else:
            tx.data = said
            self._must_reset = True
            self._finish()

    def _binary(self) -> Iterator[bytes]:
        if self._pieces is None:
            self._pieces = pieces(self._chunks)
        piece = next(self._pieces, b"")
        self._pieces_left = bool(piece)
        yield b"BDAT %d\r\n" % len(piece) + piece

    def _finish(self) -> None:
        assert self._tx is not None
        self._tx.finished = True
        self._tx = None
        self._chunks, self._pieces, self._pieces_left, self._last = (), None, True, False
        self._to_rcpt.clear()


def rcpt_wishes(recipient: Recipient) -> dict[str, str]:
    """RCPT's parameters for a host that offers DSN (RFC 3461 section 4)."""
    wishes: dict[str, str] = {}
    if recipient.notify is not None:
        words = [word.name or "" for word in Notify if word in recipient.notify and word.value]
        wishes["NOTIFY"] = ",".join(words) or "NEVER"
    if recipient.original:
        kind, _, address = recipient.original.partition(";")
        wishes["ORCPT"] = f"{kind};{encode_xtext(address)}"
    return wishes
