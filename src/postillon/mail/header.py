"""A header block and its fields (RFC 5322 section 2.2), without any exception for what it finds.

A header ends at its first empty line and nowhere else. A line that is no field and continues none
belongs to the block but to no field (RFC 7103 section 7.1), so a client still sees it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from postillon.mail.octets import Octets, find_octets

MAX_HEADER = 1 << 20  # octets of a header block that are read (FAULTS 24)
MAX_FIELDS = 1_000  # fields of a block that are read (FAULTS 24)

# On unfolded text. A value ends before CR and NUL too: neither may reach a digest (FAULTS 29).
_UNFOLDED = re.compile(rb"^([!-9;-~]+)[ \t]*:[ \t]*([^\r\n\0]*)", re.MULTILINE)
_NAME = re.compile(rb"([!-9;-~]+)[ \t]*:")


class Field(NamedTuple):
    """One field as it stands in its block: name as written, value raw and still folded."""

    name: bytes
    value: bytes  # between the colon and the last line's end
    start: int  # octets from the beginning of what was given
    end: int  # after the line end of its last line


def header_end(content: Octets, start: int, stop: int) -> int:
    """Where the body begins: after the first empty line, or `stop` when there is none."""
    first = content[start : start + 2]
    if start < stop:
        if first[:1] == b"\n":
            return start + 1
        if first == b"\r\n" and start + 2 <= stop:
            return start + 2
    empty = find_octets(content, b"\n\r\n", start, stop)
    bare = find_octets(content, b"\n\n", start, stop if empty < 0 else empty + 1)
    if bare >= 0:
        return bare + 2
    return stop if empty < 0 else empty + 3


def unfolded(block: bytes) -> list[tuple[bytes, bytes]]:
    """Name (lower case) and unfolded, trimmed value of each field; at most MAX_FIELDS lines.

    Cheaper than `split`, for those who look for known names and need no offsets: what is no field
    but holds a colon comes along under a name that nobody knows.
    """
    block = block.replace(b"\r\n", b"\n")
    if b"\n " in block:
        block = block.replace(b"\n ", b" ")
    if b"\n\t" in block:
        block = block.replace(b"\n\t", b"\t")
    if b"\r" in block or b"\0" in block:
        found = _UNFOLDED.findall(block)[:MAX_FIELDS]
        return [(name.lower(), value.strip(b" \t")) for name, value in found]
    fields = []
    for line in block.split(b"\n", MAX_FIELDS)[:MAX_FIELDS]:
        name, colon, value = line.partition(b":")
        if colon:
            fields.append((name.rstrip(b" \t").lower(), value.strip(b" \t")))
    return fields


def split(content: Octets, start: int = 0, stop: int | None = None) -> Iterator[Field]:
    """Each field of the header block that begins at `start`, in order, with its place.

    Ends at the first empty line, at `stop`, after MAX_HEADER octets or MAX_FIELDS fields.
    """
    limit = min(len(content) if stop is None else stop, start + MAX_HEADER)
    block = content[start : header_end(content, start, limit)]
    position, count, size = 0, 0, len(block)
    while position < size and count < MAX_FIELDS:
        end = block.find(b"\n", position) + 1 or size
        while block[end : end + 1] in (b" ", b"\t"):
            end = block.find(b"\n", end) + 1 or size
        match = _NAME.match(block, position, end)
        if match is not None:
            value = block[match.end() : end]
            value = value[: -2 if value[-2:] == b"\r\n" else -1 if value[-1:] == b"\n" else None]
            yield Field(match[1], value, start + position, start + end)
            count += 1
        position = end


def values(content: Octets, name: bytes, start: int = 0, stop: int | None = None) -> list[bytes]:
    """The unfolded values of all fields of that name (any case), in order; may be empty."""
    wanted = name.lower()
    return [unfold(f.value) for f in split(content, start, stop) if f.name.lower() == wanted]


def value(content: Octets, name: bytes, start: int = 0, stop: int | None = None) -> bytes | None:
    """The unfolded value of the first field of that name; None when there is none."""
    wanted = name.lower()
    for field in split(content, start, stop):
        if field.name.lower() == wanted:
            return unfold(field.value)
    return None


def unfold(raw: bytes) -> bytes:
    """A value on one line, without the spaces around it (RFC 5322 section 2.2.3)."""
    if b"\n" in raw or b"\r" in raw or b"\0" in raw:
        raw = raw.translate(None, b"\r\n\0")
    return raw.strip(b" \t")
