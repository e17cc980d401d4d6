"""The server's side of IMAP, without the connection: octets in, commands out (RFC 3501 section 2.2).

The engine cuts the stream into commands: lines that a literal may continue. It counts before it keeps:
a literal that does not fit is refused before its octets are asked for, or thrown away as they come
where the client does not wait (RFC 7888). The messages of APPEND are passed on in pieces, never kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import Enum, auto

from postillon.protocol.imap import parser
from postillon.protocol.imap.appending import Appending, Wants
from postillon.protocol.imap.commands import Command
from postillon.protocol.imap.words import Refused

MAX_BEFORE_LOGIN = 64 * 1024  # octets of one command with its literals (FAULTS 26)
MAX_AFTER_LOGIN = 1024 * 1024  # the messages of APPEND not counted
MAX_LITERALS = 1_000  # of one command; ours
MAX_THROWN_AWAY = (
    256 * 1024 * 1024
)  # octets of one refused literal that we read to stay in step; ours

_LITERAL = re.compile(rb"(~?)\{([0-9]{1,15})(\+?)\}\Z")
_APPEND = re.compile(
    rb'[^(){ %*"\\\x00-\x1f\x7f-\xff+]{1,64} (?:APPEND|(?:UID )?REPLACE) [^\x00]', re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a faulty command has earned: `tag status [code] text`. `fatal`: the connection must end."""

    tag: str
    text: str
    status: str = "BAD"
    code: str = ""
    fatal: bool = False


@dataclass(frozen=True, slots=True)
class Continue:
    """The client waits for `+` before it sends a literal."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A message of an APPEND comes. The session must call `accept` or `refuse` before it goes on."""

    tag: str
    mailbox: bytes
    flags: tuple[str, ...]
    received: bytes | None  # date-time as sent
    size: int
    waits: bool  # for `+`
    binary: bool  # literal8, RFC 3516
    first: bool  # of this command; others are of MULTIAPPEND (RFC 3502)
    part: bool = False  # a text of a message that is put together (RFC 4469)


@dataclass(frozen=True, slots=True)
class Chunk:
    data: bytes


@dataclass(frozen=True, slots=True)
class Uploaded:
    """All octets of the message have come."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the client sent when a line was expected: DONE, or base 64. Without its end."""

    data: bytes


Event = Command | Refusal | Continue | Upload | Chunk | Uploaded | Line


class _State(Enum):
    LINE = auto()  # a command line, or its rest after a literal
    LITERAL = auto()
    UPLOAD = auto()  # the octets of a message
    THROW_AWAY = auto()  # the octets of a literal that is not wanted
    PLAIN = auto()  # one line outside of the command grammar
    CLOSED = auto()  # after a fatal refusal


class ImapEngine:
    """One conversation. CRLF ends a line; a bare LF is taken for it, a bare CR is refused."""

    __slots__ = ("_appending", "_buffer", "_fault", "_literals", "_offered", "_overlong",
                 "_remaining", "_scanned", "_state", "_text", "_upload", "_used", "_waits",
                 "max_command")  # fmt: skip

    def __init__(self) -> None:
        self.max_command = MAX_BEFORE_LOGIN
        self._buffer = bytearray()
        self._scanned = 0  # octets of the buffer known to hold no LF
        self._overlong = False  # the line now arriving has passed the limit and is not kept
        self._state = _State.LINE
        self._remaining = 0  # of the literal now arriving
        self._upload: Upload | None = None  # waits for the session's decision, or is under way
        self._clear()

    def _clear(self) -> None:
        self._text = b""  # of the command, with the markers of its literals
        self._literals: list[bytes] = []
        self._used = 0  # octets counted against max_command
        self._fault: Refusal | None = None  # earned already; told when the command has ended
        self._appending: Appending | None = None  # an APPEND whose mailbox is known
        self._offered = False  # octets of a message have been announced
        self._waits = False

    @property
    def buffered(self) -> int:
        """Octets received and not yet used: must be 0 when TLS starts (FAULTS 2)."""
        return len(self._buffer)

    @property
    def between_commands(self) -> bool:
        return self._state is _State.LINE and not self._text and not self._buffer

    def expect_line(self) -> None:
        """The next line is no command but an answer to a challenge, or DONE."""
        self._state = _State.PLAIN

    def accept(self) -> None:
        """Let the message of the last Upload come; the session says `+` where the client waits."""
        assert self._upload is not None
        self._state = _State.UPLOAD
        self._remaining = self._upload.size

    def refuse(self, refusal: Refusal) -> None:
        """Do without the message of the last Upload.

        The refusal is yielded when the client is done with the command: at once where it waits.
        """
        upload = self._upload
        assert upload is not None
        self._upload = None
        self._fault = refusal
        self._waits = upload.waits
        self._throw_away(0 if upload.waits else upload.size)

    def receive(self, data: bytes) -> Iterator[Event]:
        """Yield what has become complete. Act on each event before taking the next."""
        self._buffer += data
        while True:
            state = self._state
            if state is _State.LINE or state is _State.PLAIN:
                line = self._line()
                if line is None:
                    return
                if state is _State.PLAIN:
                    self._state = _State.LINE
                    yield self._plain(line)
                    continue
                event = self._command_line(line)
            elif state is _State.LITERAL:
                if len(self._buffer) < self._remaining:
                    return
                self._literals.append(bytes(self._buffer[: self._remaining]))
                del self._buffer[: self._remaining]
                self._state = _State.LINE
                continue
            elif state is _State.UPLOAD:
                if self._remaining and not self._buffer:
                    return
                if self._remaining:
                    piece = bytes(self._buffer[: self._remaining])
                    del self._buffer[: len(piece)]
                    self._remaining -= len(piece)
                    yield Chunk(piece)
                    continue
                self._upload = None
                self._state = _State.LINE
                event = Uploaded()
            elif state is _State.THROW_AWAY and self._remaining > MAX_THROWN_AWAY:
                assert self._fault is not None
                self._state = _State.CLOSED
                event = replace(self._fault, fatal=True)
            elif state is _State.THROW_AWAY:
                cut = min(len(self._buffer), self._remaining)
                del self._buffer[:cut]
                self._remaining -= cut
                if self._remaining:
                    return
                self._state = _State.LINE
                if not self._waits:
                    continue
                event = self._end()
            else:
                self._buffer.clear()
                return
            if event is not None:
                yield event

    def _line(self) -> bytes | None:
        buffer = self._buffer
        end = buffer.find(b"\n", self._scanned)
        if end < 0:
            if len(buffer) + self._used > self.max_command + 1:  # one may be the CR
                self._overlong = True
                # Keep the beginning for its tag, and the end for a literal that may be announced.
                if not self._used:
                    self._text = bytes(buffer[:80])
                    self._used = self.max_command
                del buffer[:-64]
            self._scanned = len(buffer)
            return None
        line = bytes(buffer[:end])
        del buffer[: end + 1]
        self._scanned = 0
        return line[:-1] if line.endswith(b"\r") else line

    def _plain(self, line: bytes) -> Line | Refusal:
        overlong, self._overlong = self._overlong, False
        self._clear()
        if overlong or len(line) > self.max_command:
            return Refusal("*", "Line too long")
        return Line(line)

    def _command_line(self, line: bytes) -> Event | None:
        overlong, self._overlong = self._overlong, False
        if overlong or self._used + len(line) > self.max_command:
            if not self._text:
                self._text = line[:80]
            self._fault = self._fault or self._refusal("Command too long")
        elif b"\r" in line or b"\0" in line:
            self._text = self._text or line
            self._fault = self._fault or self._refusal("NUL or bare CR in a command")
        elif self._fault is None:
            self._text += line
            self._used += len(line)
        marker = _LITERAL.search(line, max(0, len(line) - 24))
        if marker is None:
            return self._end()
        return self._literal(int(marker[2]), waits=not marker[3], binary=bool(marker[1]))

    def _literal(self, size: int, *, waits: bool, binary: bool) -> Event | None:
        """A line has ended in the marker of a literal."""
        if self._fault is None:
            self._text += b"\r\n"
            appending = self._appending or self._begin_message()
            if appending is not None:
                try:
                    if appending.go_on(self._text, self._literals) is Wants.OCTETS:
                        return self._offer(appending, size, waits, binary)
                except Refused as refused:
                    self._fault = self._refusal(refused.text, refused.status, refused.code)
        if self._fault is None:
            if self._used + size > self.max_command:
                self._fault = self._refusal("Literal too large", "NO", "LIMIT")
            elif len(self._literals) >= MAX_LITERALS:
                self._fault = self._refusal("Too many literals")
        if self._fault is not None:
            return self._without(size, waits)
        self._used += size
        self._remaining = size
        self._state = _State.LITERAL
        return Continue() if waits else None

    def _begin_message(self) -> Appending | None:
        """What reads the rest, if the text so far is an APPEND with its mailbox."""
        if not _APPEND.match(self._text):
            return None
        try:
            appending, at_end = parser.parse_append_head(self._text, [*self._literals, b""])
        except Refused as refused:
            self._fault = self._refusal(refused.text)
            return None
        if at_end:
            return None  # this literal is the mailbox
        self._appending = appending
        return appending

    def _offer(self, appending: Appending, size: int, waits: bool, binary: bool) -> Event:
        first, self._offered = not self._offered, True
        message = appending.message
        self._upload = Upload(
            parser.tag_of(self._text), appending.mailbox, message.flags, message.received,
            size, waits, binary, first, message.parts is not None,
        )  # fmt: skip
        return self._upload

    def _without(self, size: int, waits: bool) -> Event | None:
        """The fault is there, and the client would send a literal: it will not if it waits."""
        if waits:
            return self._end()
        self._throw_away(size)
        return None

    def _throw_away(self, size: int) -> None:
        self._remaining = size
        self._state = _State.THROW_AWAY

    def _refusal(self, text: str, status: str = "BAD", code: str = "") -> Refusal:
        return Refusal(parser.tag_of(self._text), text, status, code)

    def _end(self) -> Event:
        """The command is complete."""
        text, literals, fault = self._text, self._literals, self._fault
        appending = self._appending
        self._clear()
        if fault is not None:
            return fault
        try:
            if appending is None:
                return parser.parse(text, literals)
            if appending.go_on(text, literals) is not Wants.NOTHING:
                raise Refused("Expected the end of the command")
            verb = "APPEND" if appending.done.replaces is None else "REPLACE"
            return Command(parser.tag_of(text), verb, appending.done)
        except Refused as refused:
            return Refusal(parser.tag_of(text), refused.text, refused.status, refused.code)
