"""The grammar of METADATA (RFC 5464 section 5)."""

from __future__ import annotations

import re

from postillon.protocol.imap.commands import GetMetadata, SetMetadata
from postillon.protocol.imap.words import MARKER, Reader, Refused

MAX_ENTRY = 255  # octets of a name; ours
INFINITE = 1_000  # levels, for DEPTH infinity
_ENTRY = re.compile(r"/(?:private|shared)(?:/[^/*%\x00-\x1f\x7f-\uffff]+)+")
_DEPTHS = {"0": 0, "1": 1, "INFINITY": INFINITE}


def get(reader: Reader) -> GetMetadata:
    reader.need(b" ")
    depth, max_size = 0, None
    if reader.text.startswith(b"(", reader.position):

        def option() -> None:
            nonlocal depth, max_size
            name = reader.keyword()
            reader.need(b" ")
            if name == "MAXSIZE":
                max_size = reader.number()
            elif name == "DEPTH":
                word = reader.keyword()
                if word not in _DEPTHS:
                    raise Refused("DEPTH is 0, 1 or infinity")
                depth = _DEPTHS[word]
            else:
                raise Refused("Unknown option")

        reader.list_of(option)
        reader.need(b" ")
    mailbox = reader.astring()
    reader.need(b" ")
    return GetMetadata(mailbox, entries(reader), depth, max_size)


def entries(reader: Reader) -> tuple[str, ...]:
    """One name or a list of them."""
    if reader.text.startswith(b"(", reader.position):
        return tuple(dict.fromkeys(reader.list_of(lambda: entry(reader))))
    return (entry(reader),)


def set_(reader: Reader) -> SetMetadata:
    reader.need(b" ")
    mailbox = reader.astring()
    reader.need(b" ")

    def pair() -> tuple[str, bytes | None]:
        name = entry(reader)
        reader.need(b" ")
        return name, _value(reader)

    return SetMetadata(mailbox, tuple(reader.list_of(pair)))


def entry(reader: Reader) -> str:
    """A name in small letters (RFC 5464 section 3.2)."""
    raw = reader.astring()
    name = raw.decode("ascii", "replace").lower()
    if len(raw) > MAX_ENTRY or not _ENTRY.fullmatch(name):
        raise Refused("This is no name of an entry")
    return name


def _value(reader: Reader) -> bytes | None:
    if MARKER.match(reader.text, reader.position):
        return reader.literal(nul=True)
    return reader.nstring()
