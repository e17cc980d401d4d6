"""Reading replies off the wire, for the client's side (RFC 5321 section 4.2, RFC 2034)."""

from __future__ import annotations

import re

from postillon.mail.outcome import Reply

MAX_REPLY_LINE = 2_048  # octets; RFC 5321 section 4.5.3.1.5 says 512, the field says more
MAX_REPLY_LINES = 200  # of one reply; the longest real EHLO answers have about 30

_LINE = re.compile(r"([2-5][0-9][0-9])(?:([ -])(.*))?\Z", re.DOTALL)
_ENHANCED = re.compile(r"([245]\.[0-9]{1,3}\.[0-9]{1,3})(?: +|\Z)")


class BadReply(Exception):
    """The other side does not speak SMTP, or too much of it."""


class ReplyReader:
    """Octets in, whole replies out.

    Deviates: a bare LF ends a line here too, as old servers send it. A reply is only ever shown.
    """

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._code = 0
        self._lines: list[str] = []

    @property
    def clean(self) -> bool:
        """Whether nothing has been received beyond the replies already returned."""
        return not self._buffer and not self._lines

    def feed(self, data: bytes) -> None:
        self._buffer += data

    def next(self) -> Reply | None:
        """The next whole reply. Raises BadReply; the connection is of no use then."""
        while (end := self._buffer.find(b"\n")) >= 0:
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            if end > MAX_REPLY_LINE:
                raise BadReply("a line of the reply is too long")
            text = line.decode("utf-8", "backslashreplace")
            match = _LINE.match(text)
            if match is None:
                raise BadReply("not a reply: " + text[:80])
            code = int(match[1])
            if self._lines and code != self._code:
                raise BadReply("the lines of a reply differ in their code")
            self._code = code
            self._lines.append(match[3] or "")
            if len(self._lines) > MAX_REPLY_LINES:
                raise BadReply("the reply has too many lines")
            if match[2] != "-":
                return self._whole()
        if len(self._buffer) > MAX_REPLY_LINE:
            raise BadReply("a line of the reply is too long")
        return None

    def _whole(self) -> Reply:
        lines, self._lines = self._lines, []
        first = _ENHANCED.match(lines[0])
        enhanced = first[1] if first and first[1][0] == str(self._code)[0] else ""
        if enhanced:
            lines = [_without(enhanced, line) for line in lines]
        return Reply(self._code, enhanced, tuple(_clean(line) for line in lines))


def _without(enhanced: str, line: str) -> str:
    """A line without the enhanced code before it, if it has that one."""
    rest = line.removeprefix(enhanced)
    return rest.lstrip(" ") if rest != line and rest[:1] in ("", " ") else line


def _clean(line: str) -> str:
    """Without control characters: the words end up in logs and reports (FAULTS 15)."""
    if line.isprintable():
        return line
    return "".join(character if character.isprintable() else "?" for character in line)
