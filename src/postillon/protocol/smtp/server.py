"""The server's side of SMTP and LMTP, without the connection (RFC 5321, 2033, 2920, 3030, 4954).

`receive` turns octets into events, one at a time, because what an octet means depends on the answer to
the command before it: after each event the driver calls `answered` with the code it has replied. A
`Fault` is already decided; the driver only sends its reply.

Only CRLF ends a line and only CRLF.CRLF ends content. A bare CR or LF in a command is a syntax error;
in content it refuses the message, once its true end is reached (FAULTS 1).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import NamedTuple

from postillon.mail.envelope import Body, Envelope, Recipient
from postillon.mail.outcome import Reply, reply
from postillon.protocol.smtp import grammar
from postillon.protocol.smtp.content import Unstuffer, pure_lines
from postillon.protocol.smtp.grammar import Refused

MAX_LINE = 512  # octets with CRLF, RFC 5321 section 4.5.3.1.4
MAX_AUTH_LINE = 12_288  # RFC 4954 section 4
# What extensions add: SIZE 26 (RFC 1870), BODY 17 (RFC 6152), SMTPUTF8 10 (RFC 6531), AUTH 500
# (RFC 4954), BY 17 (RFC 2852), HOLDUNTIL 34 (RFC 4865); RCPT 500 for NOTIFY and ORCPT (RFC 3461),
# and as much for RET and ENVID in MAIL.
LINE_LIMITS: Mapping[str, int] = {
    "MAIL": MAX_LINE + 26 + 17 + 10 + 500 + 17 + 34 + 500,
    "RCPT": MAX_LINE + 500,
    "AUTH": MAX_AUTH_LINE,
}
MAX_OTHER_LINE = max(LINE_LIMITS["MAIL"], LINE_LIMITS["RCPT"])
MAX_NAME = 255  # octets of the name given with EHLO, section 4.5.3.1.2
MAX_DISCARD = 64 * 1024 * 1024  # octets read in vain beyond the size limit; then we hang up
MAX_CHUNK_DIGITS = 20  # RFC 3030 section 2


class State(Enum):
    START = auto()  # nobody has said hello
    READY = auto()
    MAIL = auto()
    RCPT = auto()
    CONTENT = auto()  # between 354 and the end
    CHUNKS = auto()  # between the first BDAT and the last
    AUTH = auto()  # a challenge is open
    CLOSED = auto()


_ANYWHERE = ("NOOP", "RSET", "HELP", "QUIT", "VRFY", "EXPN", "EHLO", "HELO", "LHLO")

# RFC 5321 section 4.1.4: which verbs have their place, and where a positive reply leads. RSET and the
# hellos lead to READY from anywhere; the others that may come anywhere change nothing.
ORDER: Mapping[State, Mapping[str, State]] = {
    State.START: {},
    State.READY: {"MAIL": State.MAIL, "AUTH": State.READY, "STARTTLS": State.READY},
    State.MAIL: {"RCPT": State.RCPT},
    State.RCPT: {"RCPT": State.RCPT, "DATA": State.CONTENT, "BDAT": State.CHUNKS},
    State.CHUNKS: {"BDAT": State.CHUNKS},
}
# FAULTS 14: a browser made to speak to us.
HTTP = frozenset({"GET", "POST", "HEAD", "PUT", "DELETE", "CONNECT", "OPTIONS", "PATCH", "PRI"})

BAD_SEQUENCE = reply(503, "5.5.1", "Bad sequence of commands")
NO_RECIPIENTS = reply(503, "5.5.1", "No valid recipients")
UNKNOWN = reply(500, "5.5.1", "Command not recognised")
LINE_TOO_LONG = reply(500, "5.5.6", "Line too long")
NOT_A_LINE = reply(500, "5.5.2", "Only CRLF ends a line, and a command holds no NUL")
NOT_UTF8 = reply(500, "5.5.2", "The command is not UTF-8")
NEEDS_NO_ARGUMENT = reply(501, "5.5.4", "No argument is allowed")
NEEDS_ARGUMENT = reply(501, "5.5.4", "An argument is needed")
BAD_BASE64 = reply(501, "5.5.2", "The response is not base64")
TOO_EARLY = reply(554, "5.5.0", "You spoke before it was your turn")
INJECTED = reply(501, "5.5.1", "More than STARTTLS came in clear text")
BAD_CHUNK = reply(501, "5.5.4", "BDAT needs the size of the chunk")
TOO_BIG = reply(552, "5.3.4", "The message is larger than this server takes")
NOT_PURE = reply(550, "5.6.0", "The message holds a CR or LF that is not part of CRLF")
UTF8_NOT_ASKED = reply(553, "5.6.7", "An address beyond ASCII needs SMTPUTF8")
UNKNOWN_PARAMETER = reply(555, "5.5.4", "A parameter is not known here")


class Hello(NamedTuple):
    verb: str  # EHLO, HELO or LHLO
    name: str  # as given: only for logs and the Received field


class Mail(NamedTuple):
    envelope: Envelope  # without recipients


class Rcpt(NamedTuple):
    recipient: Recipient


class Data(NamedTuple):
    pass


class Simple(NamedTuple):
    """NOOP, RSET, HELP, QUIT, VRFY or EXPN."""

    verb: str
    argument: str


class StartTls(NamedTuple):
    pass


class Auth(NamedTuple):
    mechanism: str  # upper case
    initial: bytes | None


class AuthResponse(NamedTuple):
    response: bytes | None  # None: cancelled


class Content(NamedTuple):
    """Octets of the message, without stuffing. Needs no answer."""

    octets: bytes


class ChunkEnd(NamedTuple):
    """The end of a BDAT that is not the last. `refusal` is the answer if it is set."""

    size: int
    refusal: Reply | None


class End(NamedTuple):
    """The end of the message; the transaction is over. `refusal` is the answer if it is set."""

    size: int
    refusal: Reply | None


class Fault(NamedTuple):
    """What needs no decision. `close`: hang up after the reply, if there is one."""

    reply: Reply | None
    close: bool = False


Event = (
    Hello
    | Mail
    | Rcpt
    | Data
    | Simple
    | StartTls
    | Auth
    | AuthResponse
    | Content
    | ChunkEnd
    | End
    | Fault
)


@dataclass(frozen=True, slots=True)
class Offer:
    """What EHLO announces on this connection, as it is now."""

    max_size: int  # octets
    lmtp: bool = False
    starttls: bool = False
    mechanisms: tuple[str, ...] = ()
    max_recipients: int = 0  # per transaction, for LIMITS (RFC 9422); 0: not announced
    max_transactions: int = 0  # per connection
    repair_lf: bool = False  # make CRLF of a bare LF in DATA (submission only)
    own_domain: str = "localhost"  # of <postmaster>
    least_by: int | None = None  # seconds by-mode R must leave (RFC 2852); None: not offered
    longest_hold: int = 0  # seconds (RFC 4865); 0: not offered
    hold_until: str = ""  # the latest time as it is announced

    def keywords(self) -> list[str]:
        """The lines after the first of a reply to EHLO."""
        lines = ["PIPELINING", f"SIZE {self.max_size}", "8BITMIME", "SMTPUTF8", "CHUNKING"]
        lines += ["BINARYMIME", "ENHANCEDSTATUSCODES", "DSN"]
        if self.least_by is not None:
            lines.append(f"DELIVERBY {self.least_by}")
        if self.longest_hold:
            lines.append(f"FUTURERELEASE {self.longest_hold} {self.hold_until}")
        if self.starttls:
            lines.append("STARTTLS")
        if self.mechanisms:
            lines.append("AUTH " + " ".join(self.mechanisms))
        limits = []
        if self.max_transactions:
            limits.append(f"MAILMAX={self.max_transactions}")
        if self.max_recipients:
            limits.append(f"RCPTMAX={self.max_recipients}")
        if limits:
            lines.append("LIMITS " + " ".join(limits))
        return lines


class SmtpServerEngine:
    """One conversation, until STARTTLS: after it begin with a new engine."""

    def __init__(self, offer: Offer) -> None:
        self.offer = offer
        self.state = State.START
        self._buffer = b""
        self._at = 0  # where the unread part of `_buffer` begins
        self._overlong = False  # the line now arriving has already passed its limit
        self._unstuffer: Unstuffer | None = None
        self._size = 0  # octets of the message so far
        self._refusal: Reply | None = None  # of the message that is arriving
        self._after: Event | None = None  # the event behind the one just given
        self._utf8 = False
        self._binary = False
        self._chunk_left = 0
        self._chunk_size = 0
        self._chunk_last = False
        self._chunk_ends: Fault | None = None  # the answer to a chunk that is read in vain
        self._chunk_open = False
        self._cr = b""  # a CR at the end of what was read of a chunk

    @property
    def buffered(self) -> int:
        """Octets received and not read yet."""
        return len(self._buffer) - self._at

    def receive(self, data: bytes) -> Iterator[Event]:
        """Yield what `data` brings. Call `answered` before asking for the next event."""
        self._buffer = self._buffer[self._at :] + data if self.buffered else data
        self._at = 0
        while (event := self._next()) is not None:
            yield event

    def answered(self, event: Event, code: int) -> None:
        """The driver has replied to `event` with this code."""
        match event:
            case Simple("RSET", _) | Hello() if code < 400:
                if self.state is not State.START or isinstance(event, Hello):
                    self._clear(State.READY)
            case Mail(envelope) if code < 400:
                self.state = State.MAIL
                self._utf8 = envelope.smtputf8
                self._binary = envelope.body is Body.BINARY
            case Rcpt() if code < 400:
                self.state = State.RCPT
            case Data() if code == 354:
                self.state = State.CONTENT
                self._unstuffer = Unstuffer(repair=self.offer.repair_lf)
            case Auth() | AuthResponse():
                self.state = State.AUTH if code == 334 else State.READY
            case ChunkEnd() if code >= 400:
                self._refusal = self._refusal or BAD_SEQUENCE

    def close(self) -> None:
        """Nothing that arrives from now on means anything."""
        self.state = State.CLOSED
        self._buffer, self._at = b"", 0

    # Inside

    def _next(self) -> Event | None:
        if self._after is not None:
            event, self._after = self._after, None
            return event
        if self.state is State.CLOSED:
            return None
        if self.state is State.CONTENT:
            return self._content()
        if self._chunk_open:
            return self._chunk()
        return self._line()

    def _clear(self, state: State) -> None:
        self.state = state
        self._unstuffer = None
        self._size = 0
        self._refusal = None
        self._utf8 = self._binary = False
        self._cr = b""

    def _line(self) -> Event | None:
        buffer, at = self._buffer, self._at
        end = buffer.find(b"\r\n", at)
        if buffer[at : at + 1] == b"\x16" and self.state is not State.AUTH:
            return self._hang_up(None)  # a TLS record; no command begins with this octet
        longest = MAX_OTHER_LINE
        if self.state is State.AUTH or buffer[at : at + 5].upper() == b"AUTH ":
            longest = MAX_AUTH_LINE
        if end < 0:
            waiting = len(buffer) - at
            if waiting > longest or (self._overlong and waiting > 1):
                self._overlong = True
                self._at = len(buffer) - (1 if buffer.endswith(b"\r") else 0)
            return None
        self._at = end + 2
        if self._overlong or self._at - at > longest:
            self._overlong = False
            if self.state is State.AUTH:
                self.state = State.READY
            return Fault(LINE_TOO_LONG)
        line = buffer[at:end]
        if b"\n" in line or b"\r" in line or b"\0" in line:
            return Fault(NOT_A_LINE)
        if self.state is State.AUTH:
            return self._response(line)
        try:
            verb, _, argument = line.decode("utf-8").partition(" ")
        except UnicodeDecodeError:
            return Fault(NOT_UTF8)
        verb = verb.upper()
        if len(line) + 2 > LINE_LIMITS.get(verb, MAX_LINE):
            return Fault(LINE_TOO_LONG)
        return self._command(verb, argument.strip(" "))

    def _command(self, verb: str, argument: str) -> Event:
        parse = _PARSERS.get(verb)
        if parse is None:
            return self._hang_up(None) if verb in HTTP else Fault(UNKNOWN)
        if verb not in _ANYWHERE and verb not in ORDER[self.state]:
            if verb == "DATA" and self.state is State.MAIL:
                return Fault(NO_RECIPIENTS)
            if verb != "BDAT":
                return Fault(BAD_SEQUENCE)
        try:
            return parse(self, argument)
        except Refused as refused:
            return Fault(refused.reply)

    def _hang_up(self, answer: Reply | None) -> Fault:
        self.close()
        return Fault(answer, close=True)

    def _early(self) -> bool:
        """RFC 2920 section 3.1: these commands are the last of a group, for their replies decide."""
        return self._at < len(self._buffer)

    # Commands

    def _hello(self, verb: str, name: str) -> Event:
        if (verb == "LHLO") != self.offer.lmtp:
            return Fault(UNKNOWN)
        if self._early():
            return self._hang_up(TOO_EARLY)
        if not name or len(name.encode()) > MAX_NAME or not name.isprintable():
            return Fault(NEEDS_ARGUMENT)
        return Hello(verb, name)

    def _mail(self, argument: str) -> Event:
        if argument[:5].upper() != "FROM:":
            return Fault(reply(501, "5.5.4", "MAIL FROM:<address> is needed"))
        inner, rest = grammar.split_path(argument[5:].lstrip(" "))
        path = grammar.reverse_path(inner)
        wishes = grammar.parameters(rest) if rest else _NOTHING
        size = None
        body, utf8, ret_full, envid = Body.SEVEN_BIT, False, None, ""
        by, hold_for, hold_until = None, None, None
        least, longest = self.offer.least_by, self.offer.longest_hold
        for key, value in wishes.items():
            match key:
                case "SIZE":
                    size = grammar.size(value)
                case "BODY":
                    body = grammar.body(value, binary=True)
                case "SMTPUTF8" if not value:
                    utf8 = True
                case "RET":
                    ret_full = grammar.returned(value)
                case "ENVID":
                    envid = grammar.envid(value)
                case "BY" if least is not None:
                    by = grammar.deliver_by(value, least)
                case "HOLDFOR" if longest:
                    hold_for = grammar.hold_for(value, longest)
                case "HOLDUNTIL" if longest:
                    hold_until = grammar.hold_until(value)
                case "AUTH" if value:
                    grammar.decode_xtext(value)  # RFC 4954 section 5: read, and trusted by nobody
                case _:
                    return Fault(UNKNOWN_PARAMETER)
        if not utf8 and not argument.isascii():
            return Fault(UTF8_NOT_ASKED)
        if size is not None and size > self.offer.max_size:
            return Fault(TOO_BIG)
        if hold_for is not None and hold_until is not None:
            return Fault(reply(501, "5.5.4", "HOLDFOR and HOLDUNTIL do not go together"))
        return Mail(
            Envelope(
                path, (), body, utf8, size, ret_full, envid, by=by, hold_for=hold_for,
                hold_until=hold_until,
            )
        )  # fmt: skip

    def _rcpt(self, argument: str) -> Event:
        if argument[:3].upper() != "TO:":
            return Fault(reply(501, "5.5.4", "RCPT TO:<address> is needed"))
        inner, rest = grammar.split_path(argument[3:].lstrip(" "))
        path = grammar.forward_path(inner, self.offer.own_domain)
        if not self._utf8 and not inner.isascii():
            return Fault(UTF8_NOT_ASKED)
        if not rest:
            return Rcpt(Recipient(path))
        notify, original = None, ""
        for key, value in grammar.parameters(rest).items():
            match key:
                case "NOTIFY":
                    notify = grammar.notify(value)
                case "ORCPT":
                    original = grammar.original_recipient(value)
                case _:
                    return Fault(UNKNOWN_PARAMETER)
        return Rcpt(Recipient(path, notify, original))

    def _data(self, argument: str) -> Event:
        if self._early():
            return self._hang_up(TOO_EARLY)
        if argument:
            return Fault(NEEDS_NO_ARGUMENT)
        if self._binary:  # RFC 3030 section 3
            return Fault(reply(503, "5.5.1", "BINARYMIME travels by BDAT only"))
        return Data()

    def _bdat(self, argument: str) -> Event:
        words = argument.split(" ")
        digits = words[0]
        valid = digits.isascii() and digits.isdigit() and len(digits) <= MAX_CHUNK_DIGITS
        last = len(words) == 2 and words[1].upper() == "LAST"
        if not valid or not (last or len(words) == 1):
            return self._hang_up(BAD_CHUNK)  # what follows cannot be told from commands
        size = int(digits)
        if self._size + size > self.offer.max_size + MAX_DISCARD:
            return self._hang_up(TOO_BIG)
        self._chunk_left = self._chunk_size = size
        self._chunk_last = last
        self._chunk_open = True
        self._chunk_ends = None
        if "BDAT" in ORDER[self.state]:
            self.state = State.CHUNKS
        else:  # the chunk must be read all the same, or it would be run as commands
            no_recipients = self.state is State.MAIL
            self._chunk_ends = Fault(NO_RECIPIENTS if no_recipients else BAD_SEQUENCE)
        return self._chunk() or _NEED_MORE

    def _starttls(self, argument: str) -> Event:
        if argument:
            return Fault(NEEDS_NO_ARGUMENT)
        if self._early() and self.offer.starttls:
            return self._hang_up(INJECTED)  # FAULTS 2
        return StartTls()

    def _auth(self, argument: str) -> Event:
        if self._early():
            return self._hang_up(TOO_EARLY)
        mechanism, _, initial = argument.partition(" ")
        if not mechanism:
            return Fault(NEEDS_ARGUMENT)
        if not initial:
            return Auth(mechanism.upper(), None)
        if initial == "=":
            return Auth(mechanism.upper(), b"")
        octets = _base64(initial)
        return Fault(BAD_BASE64) if octets is None else Auth(mechanism.upper(), octets)

    def _response(self, line: bytes) -> Event:
        if self._early():
            return self._hang_up(TOO_EARLY)
        if line == b"*":
            return AuthResponse(None)
        octets = _base64(line.decode("ascii", "replace"))
        if octets is None:
            self.state = State.READY
            return Fault(BAD_BASE64)
        return AuthResponse(octets)

    # Content

    def _content(self) -> Event | None:
        assert self._unstuffer is not None
        if not self.buffered:
            return None
        data = self._buffer[self._at :] if self._at else self._buffer
        octets, rest = self._unstuffer.feed(data)
        self._buffer, self._at = rest or b"", 0
        if not self._unstuffer.pure and self._refusal is None:
            self._refusal = NOT_PURE
        event = self._measured(octets)
        if rest is None:
            return event
        if isinstance(event, Fault):
            return event
        end = End(self._size, self._refusal)
        self._clear(State.READY)
        if event is None:
            return end
        self._after = end
        return event

    def _chunk(self) -> Event | None:
        if self._chunk_left:
            if not self.buffered:
                return None
            octets = self._buffer[self._at : self._at + self._chunk_left]
            self._at += len(octets)
            self._chunk_left -= len(octets)
            if self._chunk_ends is None:
                event = self._measured(self._whole_lines(octets))
                if event is not None:
                    return event
            if self._chunk_left:
                return None
        self._chunk_open = False
        if self._chunk_ends is not None:
            return self._chunk_ends
        if not self._chunk_last:
            return ChunkEnd(self._chunk_size, self._refusal)
        if self._cr:
            self._refusal = self._refusal or NOT_PURE
        end = End(self._size, self._refusal)
        self._clear(State.READY)
        return end

    def _whole_lines(self, octets: bytes) -> bytes:
        """Without a CR at the end, which waits for its LF; binary content passes as it is."""
        if self._binary:
            return octets
        octets = self._cr + octets
        self._cr = b"\r" if octets.endswith(b"\r") else b""
        if self._cr:
            octets = octets[:-1]
        if self._refusal is None and not pure_lines(octets):
            self._refusal = NOT_PURE
        return octets

    def _measured(self, octets: bytes) -> Event | None:
        """Content to hand on; nothing of a message that is refused already."""
        self._size += len(octets)
        if self._size > self.offer.max_size:
            self._refusal = TOO_BIG
            if self._size > self.offer.max_size + MAX_DISCARD:
                return self._hang_up(TOO_BIG)
        if self._refusal is not None or not octets:
            return None
        return Content(octets)


_NEED_MORE = Content(b"")  # a BDAT whose chunk has not begun to arrive
_NOTHING: Mapping[str, str] = MappingProxyType({})


def _simple(verb: str, *, bare: bool = False) -> Callable[[SmtpServerEngine, str], Event]:
    def parse(engine: SmtpServerEngine, argument: str) -> Event:
        if bare and argument:
            return Fault(NEEDS_NO_ARGUMENT)
        if not argument.isprintable():
            return Fault(NOT_A_LINE)
        return Simple(verb, argument)

    return parse


_PARSERS: Mapping[str, Callable[[SmtpServerEngine, str], Event]] = {
    "EHLO": lambda engine, name: engine._hello("EHLO", name),
    "HELO": lambda engine, name: engine._hello("HELO", name),
    "LHLO": lambda engine, name: engine._hello("LHLO", name),
    "MAIL": SmtpServerEngine._mail,
    "RCPT": SmtpServerEngine._rcpt,
    "DATA": SmtpServerEngine._data,
    "BDAT": SmtpServerEngine._bdat,
    "STARTTLS": SmtpServerEngine._starttls,
    "AUTH": SmtpServerEngine._auth,
    "NOOP": _simple("NOOP"),
    "HELP": _simple("HELP"),
    "VRFY": _simple("VRFY"),
    "EXPN": _simple("EXPN"),
    "RSET": _simple("RSET", bare=True),
    "QUIT": _simple("QUIT", bare=True),
}


def _base64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
