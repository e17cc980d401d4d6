"""Content on its way through DATA: dots added and taken away, line ends watched (section 4.5.2).

`Stuffer` is the sending side, `Unstuffer` the receiving one. Both take octets cut anywhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from io import IncrementalNewlineDecoder

from postillon.mail.octets import Octets

PIECE = 64 * 1024  # octets handed to the connection at a time

_END = b"\r\n.\r\n"
_DOT = b"\r\n."
_LINE_END = re.compile(rb"\r\n|\r|\n")


def pure_lines(octets: bytes) -> bool:
    """Whether CR and LF stand only side by side. `octets` must not begin or end between the two."""
    watch = IncrementalNewlineDecoder(None, translate=False)  # one pass; counting needs three
    watch.decode(octets.decode("latin-1"), final=True)
    return watch.newlines is None or watch.newlines == "\r\n"


class Stuffer:
    """Makes content safe for DATA. A bare CR or LF becomes CRLF: none is ever sent (FAULTS 1)."""

    def __init__(self) -> None:
        self._cr = False  # the last octet was a CR whose LF may come
        self._line_start = True

    def feed(self, piece: bytes) -> bytes:
        if self._cr:
            piece = b"\r" + piece
        self._cr = piece.endswith(b"\r")
        if self._cr:
            piece = piece[:-1]
        if not piece:
            return b""
        if not pure_lines(piece):
            piece = _LINE_END.sub(b"\r\n", piece)
        stuffed = piece.replace(b"\r\n.", b"\r\n..")
        if self._line_start and piece.startswith(b"."):
            stuffed = b"." + stuffed
        self._line_start = piece.endswith(b"\r\n")
        return stuffed

    def finish(self) -> bytes:
        """What ends the content; a last line without its end gets one."""
        return b".\r\n" if self._line_start and not self._cr else _END


def stuffed(chunks: Iterable[Octets]) -> Iterator[bytes]:
    """All of a message for DATA, with the end, in pieces of about PIECE octets."""
    stuffer = Stuffer()
    last = b""  # held back, so that the end travels with it
    for piece in pieces(chunks):
        if last:
            yield last
        last = stuffer.feed(piece)
    yield last + stuffer.finish()


def pieces(chunks: Iterable[Octets]) -> Iterator[bytes]:
    """The same octets in pieces of at most PIECE: small chunks together, a mapped file never whole."""
    held = b""
    for chunk in chunks:
        for start in range(0, len(chunk), PIECE):
            piece = chunk[start : start + PIECE]
            if held and len(held) + len(piece) > PIECE:
                yield held
                held = piece
            else:
                held += piece
    if held:
        yield held


class Unstuffer:
    """Finds the end of content: CRLF.CRLF, five octets in a row, and nothing else (FAULTS 1).

    `pure` turns False at the first bare CR or LF; the true end is still looked for, so that what was
    smuggled is refused as content and never read as commands. `repair` makes CRLF of a bare LF inside
    the content instead, for clients that know no better; it never makes an end of content.
    """

    def __init__(self, *, repair: bool = False) -> None:
        self.pure = True
        self._repair = repair
        self._held = b"\r\n"  # the line end of DATA itself: a dot may follow at once
        self._skip = 2  # octets of `_held` that are no content

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """(content without stuffing, None), or (last content, what comes after the end)."""
        octets = self._held + data
        dotted = octets.find(_DOT)  # the first is mostly the end itself: one search finds both
        stuffed = dotted >= 0 and not octets.startswith(_END, dotted)
        end = octets.find(_END, dotted) if stuffed else dotted
        if end >= 0:
            rest = octets[end + 5 :]
            octets = octets[: end + 2]
        else:
            held = _tail(octets)
            cut = len(octets) - held
            rest, self._held = None, octets[cut:]
            octets = octets[:cut]
        if not octets:
            return b"", None
        skip, self._skip = self._skip, 0
        if self.pure and not pure_lines(octets):
            if self._repair and octets.count(b"\r") == octets.count(b"\r\n"):
                octets = _LINE_END.sub(b"\r\n", octets.replace(b"\r\n.", b"\r\n"))
                return octets[skip:], rest
            self.pure = False
        if stuffed:
            octets = octets.replace(_DOT, b"\r\n")
        return octets[skip:] if skip else octets, rest


def _tail(octets: bytes) -> int:
    """How many of the last octets could begin the end of content, or divide a CRLF."""
    for length in (4, 3, 2, 1):
        if octets.endswith(_END[:length]):
            return length
    return 0
