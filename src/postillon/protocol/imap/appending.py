"""The words of APPEND and REPLACE as they come: RFC 3502, RFC 4469, RFC 8508.

A message is one literal, or is put together of texts and of what URLs name. The octets of messages and
texts are no part of the command: only their markers stand in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from enum import Enum, auto

from postillon.protocol.imap import numbers
from postillon.protocol.imap.commands import AppendDone, AppendMessage
from postillon.protocol.imap.words import FLAG, MARKER, Reader, Refused, number_set

MAX_PARTS = 1_000  # of one CATENATE; ours

_UTF8 = re.compile(rb"UTF8 \((?=~)", re.IGNORECASE)
_CATENATE = re.compile(rb"CATENATE \(", re.IGNORECASE)


class Wants(Enum):
    """What the text ends with."""

    OCTETS = auto()  # the marker of a message or a text
    STRING = auto()  # the marker of a string of the command
    NOTHING = auto()  # the last message is complete


class Appending:
    """Reads on whenever more of the command is there; what was read once is not read again."""

    __slots__ = ("_catenated", "_done", "_flags", "_messages", "_parts", "_position", "_received",
                 "_used", "_wrapped")  # fmt: skip

    def __init__(self, reader: Reader, *, uid: bool, replaces: bool) -> None:
        """reader: after the verb. Raises Refused where no mailbox follows."""
        reader.need(b" ")
        number = None
        if replaces:  # RFC 8508 section 4
            number = _one(reader)
            reader.need(b" ")
        self._done = AppendDone(reader.astring(), uid=uid, replaces=number)
        self._position = reader.position
        self._used = reader.used  # literals of the command that were read
        self._messages: list[AppendMessage] = []
        self._catenated = False  # inside CATENATE (...)
        self._wrapped = False  # the literal of the last message stands in UTF8 (...)
        self._parts: list[bytes | None] = []
        self._flags: tuple[str, ...] = ()
        self._received: bytes | None = None

    @property
    def mailbox(self) -> bytes:
        return self._done.mailbox

    @property
    def done(self) -> AppendDone:
        return replace(self._done, messages=tuple(self._messages))

    @property
    def message(self) -> AppendMessage:
        """The one whose octets come; of a catenated one only flags and date are sure."""
        if self._catenated:
            return AppendMessage(self._flags, self._received, tuple(self._parts))
        return self._messages[-1]

    def go_on(self, text: bytes, literals: Sequence[bytes]) -> Wants:
        """text: of the command so far. Raises Refused."""
        while True:
            reader = Reader(text, literals[self._used :], self._position)
            if self._wrapped:
                reader.need(b")")
                self._wrapped = False
            elif self._catenated:
                wants = self._part(reader)
                if wants is not None:
                    return wants
            elif self._messages and not text[self._position :].strip(b" "):
                return Wants.NOTHING
            elif self._begin(reader):
                self._position = len(text)
                return Wants.OCTETS
            self._position = reader.position
            self._used += reader.used

    def _begin(self, reader: Reader) -> bool:
        """Flags and date-time of a message (RFC 3502); whether its octets follow at once."""
        if self._messages and self._done.replaces is not None:
            raise Refused("REPLACE takes one message")
        reader.need(b" ")
        self._flags, self._received = (), None
        if reader.text.startswith(b"(", reader.position):
            self._flags = tuple(reader.list_of(lambda: _flag(reader), empty=True))
            reader.need(b" ")
        if reader.text.startswith(b'"', reader.position):
            self._received = reader.string()
            reader.need(b" ")
        if reader.match(_CATENATE) is not None:
            self._catenated, self._parts = True, []
            return False
        # RFC 6855 section 4 has UTF8 (...); RFC 9755 only a literal8 instead.
        self._wrapped = reader.match(_UTF8) is not None
        _need_octets(reader)
        self._messages.append(AppendMessage(self._flags, self._received))
        return True

    def _part(self, reader: Reader) -> Wants | None:
        """One part of a message that is put together, or its end (RFC 4469 section 5)."""
        if self._parts:
            if reader.skip(b")"):
                self._messages.append(
                    AppendMessage(self._flags, self._received, tuple(self._parts))
                )
                self._catenated = False
                return None
            reader.need(b" ")
        if len(self._parts) >= MAX_PARTS:
            raise Refused("Too many parts", "NO", "LIMIT")
        kind = reader.keyword()
        reader.need(b" ")
        if kind == "URL":
            if not reader.has_literal and MARKER.fullmatch(reader.text, reader.position):
                return Wants.STRING
            self._parts.append(reader.astring())
            return None
        if kind != "TEXT":
            raise Refused("Expected URL or TEXT")
        _need_octets(reader)
        self._parts.append(None)
        self._position = len(reader.text)
        return Wants.OCTETS


def _need_octets(reader: Reader) -> None:
    if MARKER.fullmatch(reader.text, reader.position) is None:
        raise Refused("Expected a literal")


def _one(reader: Reader) -> int:
    """The number of one message."""
    found = number_set(reader)
    if len(found) != 1 or found[0][0] != found[0][1] or found == numbers.SAVED:
        raise Refused("Expected one number")
    return found[0][0]


def _flag(reader: Reader) -> str:
    return reader.word(FLAG, "a flag").decode("ascii", "replace")
