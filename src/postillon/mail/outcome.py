"""How a try at delivery ended, in the words that a report repeats (RFC 3463, RFC 3464)."""

from __future__ import annotations

from datetime import timedelta

import msgspec


class Reply(msgspec.Struct, frozen=True):
    """An SMTP reply (RFC 5321 section 4.2): code, enhanced code or "" (RFC 2034), lines of text."""

    code: int
    enhanced: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        """The lines as one, without codes."""
        return " ".join(line for line in self.lines if line)

    @property
    def positive(self) -> bool:
        return self.code < 400

    @property
    def permanent(self) -> bool:
        return self.code >= 500

    def __str__(self) -> str:
        return " ".join(part for part in (str(self.code), self.enhanced, self.text) if part)

    def __bytes__(self) -> bytes:
        """The reply on the wire, with CRLF; one wire line a text line."""
        prefix = f"{self.enhanced} " if self.enhanced else ""
        if len(self.lines) == 1:  # nearly always
            return f"{self.code} {prefix}{self.lines[0]}\r\n".encode("utf-8", "surrogateescape")
        last = len(self.lines) - 1
        return "".join(
            f"{self.code}{' ' if n == last else '-'}{prefix}{line}\r\n"
            for n, line in enumerate(self.lines)
        ).encode("utf-8", "surrogateescape")


def reply(code: int, enhanced: str, *lines: str) -> Reply:
    """A reply of at least one line; `reply(250, "2.1.0", "Ok")`."""
    return Reply(code, enhanced, lines or ("",))


class Status(msgspec.Struct, frozen=True):
    """Why a delivery ended as it did (RFC 3463), in the words a DSN will repeat."""

    code: str  # "4.4.1"
    text: str  # for a human; nothing about our insides
    remote: Reply | None = None  # what the other host said, when one did
    host: str = ""  # the host that said it, or that could not be reached; "" when none was tried


class Delivered(msgspec.Struct, frozen=True):
    """The recipient has it. `relayed` when another server took over the responsibility."""

    status: Status
    relayed: bool = False
    dsn: bool = False  # relayed to a host that offers DSN, so it reports success itself (RFC 3461)
    by: bool = False  # relayed to a host that keeps to the time that was given (RFC 2852)


class Deferred(msgspec.Struct, frozen=True):
    """Not now. `destination` when the host set, not this recipient, is the reason."""

    status: Status
    destination: bool = False
    retry_after: timedelta | None = None  # a hint of the other side; the queue bounds it


class Failed(msgspec.Struct, frozen=True):
    """Never: the sender is told."""

    status: Status


Outcome = Delivered | Deferred | Failed
