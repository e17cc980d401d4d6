"""The server's side of POP3, without the connection (RFC 1939, RFC 2449).

Octets in, commands out; answers are written by `writer`. Commands may be pipelined (RFC 2449 section
6.6): whatever has arrived is given one by one, so the session can stop in between, as for STLS.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

MAX_LINE = 255  # octets with the line end, RFC 2449 section 4
MAX_AUTH_LINE = 12_288  # octets: a line of SASL, RFC 5034 section 4


@dataclass(frozen=True, slots=True)
class Command:
    """One command: the keyword in upper case and the rest of the line, without the line end."""

    verb: str
    argument: bytes

    def words(self) -> list[bytes]:
        """The arguments; more than one space between them is forgiven."""
        return self.argument.split()


@dataclass(frozen=True, slots=True)
class Line:
    """A line that was asked for with `expect_line`: a client's response to a challenge."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Refusal:
    """What arrived is no command. `fatal`: what follows cannot be told apart any more."""

    text: str
    fatal: bool = False


Event = Command | Line | Refusal


class Pop3Engine:
    """One conversation. A line ends with LF, and a CR before it belongs to the end.

    max_line: the longest line taken, with its end; a longer one ends the conversation, for nobody
    who speaks POP3 sends it.
    """

    def __init__(self, max_line: int = MAX_AUTH_LINE) -> None:
        self.max_line = max_line
        self._buffer = b""
        self._at = 0  # octets of the buffer that were given already
        self._plain = False  # the next line is no command

    @property
    def buffered(self) -> int:
        """Octets that have arrived and were not given yet."""
        return len(self._buffer) - self._at

    def expect_line(self) -> None:
        """The next line is an answer to a challenge, not a command."""
        self._plain = True

    def receive(self, data: bytes) -> Iterator[Event]:
        """Take what has arrived. The iterator may be left at any event; nothing is lost then."""
        self._buffer = self._buffer[self._at :] + data
        self._at = 0
        while True:
            start = self._at
            end = self._buffer.find(b"\n", start)
            if (len(self._buffer) if end < 0 else end + 1) - start > self.max_line:
                self._buffer, self._at = b"", 0
                yield Refusal("The line is too long", fatal=True)
                return
            if end < 0:
                return
            self._at = end + 1
            yield self._read(self._buffer[start:end].removesuffix(b"\r"))

    def _read(self, line: bytes) -> Event:
        if self._plain:
            self._plain = False
            return Line(line)
        if b"\0" in line or b"\r" in line:
            return Refusal("A command has no NUL and no CR")
        verb, _, argument = line.partition(b" ")
        if not 3 <= len(verb) <= 4 or not verb.isalnum():
            return Refusal("This is no command")
        return Command(verb.decode("ascii").upper(), argument)
