"""How a command ended: the tagged response without its tag."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.protocol.imap.writer import human


@dataclass(frozen=True, slots=True)
class Answer:
    status: str  # OK, NO, BAD
    text: str
    code: bytes = b""  # inside the brackets; b"" for none

    def write(self, tag: str) -> bytes:
        code = b"[%b] " % self.code if self.code else b""
        return b"%b %b %b%b\r\n" % (tag.encode(), self.status.encode(), code, human(self.text))


def ok(text: str = "Done", code: bytes = b"") -> Answer:
    return Answer("OK", text, code)


def no(text: str, code: bytes = b"") -> Answer:
    return Answer("NO", text, code)


def bad(text: str, code: bytes = b"") -> Answer:
    return Answer("BAD", text, code)
