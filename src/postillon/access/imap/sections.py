"""Which octets a section of FETCH means, without reading more of a message than it takes.

A client sees `row.prefix` and then the blob; offsets of parts are offsets in the blob.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache

from postillon.account.emails import EmailRow
from postillon.mail.mime import Part, part_at
from postillon.protocol.imap.commands import Section, SectionText

Read = Callable[[EmailRow, int, int], Awaitable[bytes]]  # octets of the blob, from and up to before
Piece = bytes | tuple[int, int]  # octets, or a range of the blob

AT_ONCE = 256 * 1024  # octets of a blob read at a time


def header_of(section: Section, root: Part) -> tuple[int, int] | None:
    """The octets of the blob that must be read to know what a section is: those of a header."""
    if section.text not in (SectionText.FIELDS, SectionText.NOT_FIELDS):
        return None
    part = root if not section.path else part_at(root, section.path)
    if part is None or (section.path and not part.message):
        return None
    message = part.children[0] if section.path else root
    return message.header_start if section.path else 0, message.body_start


def octets_of(
    section: Section, row: EmailRow, root: Part, header: bytes = b""
) -> list[Piece] | None:
    """The octets of a section in order, its partial applied; None when there is no such part.

    header: the octets that `header_of` names.
    """
    whole = _whole(section, row, root, header)
    if whole is None or section.partial is None:
        return whole
    start, length = section.partial
    return _cut(whole, start, start + length)


def size_of(pieces: list[Piece]) -> int:
    return sum(len(p) if isinstance(p, bytes) else p[1] - p[0] for p in pieces)


def join_pieces(pieces: list[Piece], octets: bytes) -> bytes:
    """The octets, out of the first ones of the blob, which must hold all the ranges."""
    if len(pieces) == 1 and not isinstance(pieces[0], bytes):
        start, stop = pieces[0]
        return octets if start == 0 and stop == len(octets) else octets[start:stop]
    return b"".join([p if isinstance(p, bytes) else octets[p[0] : p[1]] for p in pieces])


async def read_pieces(pieces: list[Piece], row: EmailRow, read: Read) -> AsyncIterator[bytes]:
    """The octets, at most AT_ONCE in one."""
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        start, stop = piece
        while start < stop:
            end = min(start + AT_ONCE, stop)
            yield await read(row, start, end)
            start = end


def _whole(section: Section, row: EmailRow, root: Part, header: bytes) -> list[Piece] | None:
    text = section.text
    if not section.path:
        if text is SectionText.ALL:
            return _pieces(row.prefix, 0, row.ref.length)
        if text is SectionText.HEADER:
            return _pieces(row.prefix, 0, root.body_start)
        if text is SectionText.TEXT:
            return _pieces(b"", root.body_start, row.ref.length)
        return _fields(section, row.prefix + header)
    part = part_at(root, section.path)
    if part is None:
        return None
    if text is SectionText.ALL:
        return _pieces(b"", part.body_start, part.end)
    if text is SectionText.MIME:
        prefix = row.prefix if part is root else b""
        return _pieces(prefix, part.header_start, part.body_start)
    if not part.message:
        return None
    message = part.children[0]
    if text is SectionText.HEADER:
        return _pieces(b"", message.header_start, message.body_start)
    if text is SectionText.TEXT:
        return _pieces(b"", message.body_start, message.end)
    return _fields(section, header)


def _pieces(before: bytes, start: int, stop: int) -> list[Piece]:
    pieces: list[Piece] = [before] if before else []
    if start < stop:
        pieces.append((start, stop))
    return pieces


def _fields(section: Section, header: bytes) -> list[Piece]:
    """The wanted fields as they stand, and the empty line that ends a header."""
    found = b"".join(_finder(section.fields, section.text).findall(header))
    if found and not found.endswith(b"\n"):
        found += b"\r\n"
    return [found + b"\r\n"]


@lru_cache(maxsize=128)
def _finder(fields: tuple[bytes, ...], text: SectionText) -> re.Pattern[bytes]:
    """Finds whole fields: linear, as a line is part of one field only."""
    names = b"|".join(re.escape(name) for name in fields)
    rest = rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*\n?"
    if text is SectionText.NOT_FIELDS:
        pattern = rb"^(?!(?:" + names + rb")[ \t]*:)[!-9;-~]+" + rest
    else:
        pattern = rb"^(?:" + names + rb")" + rest
    return re.compile(pattern, re.IGNORECASE | re.MULTILINE)


def _cut(pieces: list[Piece], start: int, stop: int) -> list[Piece]:
    """Octets from `start` up to before `stop` of what the pieces hold together."""
    found: list[Piece] = []
    at = 0
    for piece in pieces:
        size = len(piece) if isinstance(piece, bytes) else piece[1] - piece[0]
        first, last = max(start - at, 0), min(stop - at, size)
        if first < last:
            if isinstance(piece, bytes):
                found.append(piece[first:last])
            else:
                found.append((piece[0] + first, piece[0] + last))
        at += size
    return found
