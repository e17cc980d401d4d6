"""The words of a command: atoms, quoted strings, literals, lists (RFC 3501 section 9).

The text of a command holds each literal as its marker `{n}` CRLF; the octets lie in a list beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TypeVar

from postillon.protocol.imap import numbers

T = TypeVar("T")

MAX_MODSEQ = 0x7FFFFFFFFFFFFFFF  # RFC 7162 section 7
MAX_LIST = 10_000  # entries of one parenthesised list; ours


class Refused(Exception):
    """A command that cannot be carried out as sent. The text is for a human."""

    def __init__(self, text: str, status: str = "BAD", code: str = "") -> None:
        super().__init__(text)
        self.text, self.status, self.code = text, status, code


# 8-bit octets are let into atoms: clients write raw UTF-8 names, and decoding decides later.
ATOM = re.compile(rb'[^(){ %*"\\\]\x00-\x1f\x7f]+')
ASTRING = re.compile(rb'[^(){ %*"\\\x00-\x1f\x7f]+')
LIST_WORD = re.compile(rb'[^(){ "\\\x00-\x1f\x7f]+')
QUOTED = re.compile(rb'"([^"\\\x00\r\n]*(?:\\["\\][^"\\\x00\r\n]*)*)"')
MARKER = re.compile(rb"~?\{[0-9]+\+?\}\r\n")
NUMBER = re.compile(rb"[0-9]{1,19}")
NUMBERS = re.compile(rb"[0-9:,*]+|\$")
FLAG = re.compile(rb'\\?[^(){ %*"\\\]\x00-\x1f\x7f]+|\\\*')
_ESCAPE = re.compile(rb"\\(.)")


class Reader:
    """Takes words off the front of a command. Every method raises Refused where the grammar ends."""

    __slots__ = ("_used", "literals", "position", "text")

    def __init__(self, text: bytes, literals: Sequence[bytes] = (), position: int = 0) -> None:
        self.text = text
        self.position = position
        self.literals = literals
        self._used = 0

    @property
    def used(self) -> int:
        """How many literals were read."""
        return self._used

    @property
    def has_literal(self) -> bool:
        """Whether there is one that was not read."""
        return self._used < len(self.literals)

    def at_end(self) -> bool:
        return self.position >= len(self.text)

    def end(self) -> None:
        if self.position < len(self.text) and self.text[self.position :].strip(b" "):
            raise Refused("Unexpected arguments")

    def skip(self, expected: bytes) -> bool:
        """Take `expected` if it comes next."""
        if self.text.startswith(expected, self.position):
            self.position += len(expected)
            return True
        return False

    def need(self, expected: bytes) -> None:
        if not self.text.startswith(expected, self.position):
            what = "a space" if expected == b" " else expected.decode()
            raise Refused(f"Expected {what}" if not self.at_end() else "Missing arguments")
        self.position += len(expected)

    def match(self, pattern: re.Pattern[bytes]) -> bytes | None:
        found = pattern.match(self.text, self.position)
        if found is None:
            return None
        self.position = found.end()
        return found[0]

    def word(self, pattern: re.Pattern[bytes], what: str) -> bytes:
        found = pattern.match(self.text, self.position)
        if found is None:
            raise Refused(f"Expected {what}" if not self.at_end() else "Missing arguments")
        self.position = found.end()
        return found[0]

    def atom(self) -> bytes:
        return self.word(ATOM, "an atom")

    def keyword(self) -> str:
        """An atom whose letter case means nothing, in capitals."""
        return self.atom().upper().decode("ascii", "backslashreplace")

    def modseq(self, smallest: int = 1) -> int:
        """RFC 7162 section 7: 63 bits."""
        value = self.number(MAX_MODSEQ)
        if value < smallest:
            raise Refused("The mod-sequence is out of range")
        return value

    def number(self, largest: int = 0xFFFFFFFF) -> int:
        value = int(self.word(NUMBER, "a number"))
        if value > largest:
            raise Refused("Number out of range")
        return value

    def astring(self, atom: re.Pattern[bytes] = ASTRING) -> bytes:
        found = atom.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
            return found[0]
        return self.string()

    def string(self) -> bytes:
        found = QUOTED.match(self.text, self.position)
        if found is not None:
            self.position = found.end()
            value = found[1]
            return _ESCAPE.sub(rb"\1", value) if b"\\" in value else value
        return self.literal()

    def nstring(self) -> bytes | None:
        if self.text[self.position : self.position + 3].upper() == b"NIL":
            self.position += 3
            return None
        return self.string()

    def literal(self, *, nul: bool = False) -> bytes:
        self.word(MARKER, "a string")
        value = self.literals[self._used]
        self._used += 1
        if 0 in value and not nul:
            raise Refused("NUL in a string")  # RFC 3501 section 4.3: CHAR8 excludes it
        return value

    def list_of(self, item: Callable[[], T], *, empty: bool = False) -> list[T]:
        """`(` items between single spaces `)`."""
        self.need(b"(")
        found: list[T] = []
        if empty and self.skip(b")"):
            return found
        while True:
            found.append(item())
            if self.skip(b")"):
                return found
            if len(found) >= MAX_LIST:
                raise Refused("Too many entries in a list", "NO", "LIMIT")
            self.need(b" ")


def number_set(reader: Reader) -> numbers.Ranges:
    ranges = numbers.parse(reader.word(NUMBERS, "a sequence set"))
    if ranges is None:
        raise Refused("Malformed sequence set")
    return ranges
