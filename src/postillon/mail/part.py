"""The MIME structure of a message, with the octet offsets that make parsing it once enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import msgspec

from postillon.mail.digest import HeaderDigest
from postillon.mail.parameters import Parameters, file_name, get

if TYPE_CHECKING:
    from postillon.mail.octets import Octets

PartPath = tuple[int, ...]  # from 1, as IMAP numbers them (RFC 9051 section 6.4.5)


class Part(msgspec.Struct, array_like=True, gc=False):
    """One entity: the message itself or a body part of it.

    Offsets count octets of the blob. The header is [header_start, body_start) with the empty line
    that ends it; the body is [body_start, end); the line end before a boundary belongs to the
    boundary (RFC 2046 section 5.1.1). A multipart has at least one child; message/rfc822 and
    message/global have exactly one, the embedded message, with `digest` its header's; all others
    have none. What cannot be read as what it says it is has become an opaque
    application/octet-stream, or text/plain when it is a multipart without boundaries.
    """

    media: bytes  # lower case: b"text"
    subtype: bytes  # lower case: b"plain"
    parameters: Parameters  # raw values: RFC 2231 is undone by mail.parameters
    id: bytes  # Content-ID with its brackets; this and those below are b"" when absent
    description: bytes  # raw: encoded words are kept
    encoding: bytes  # lower case, b"7bit" when absent
    disposition: bytes  # lower case
    disposition_parameters: Parameters
    language: tuple[bytes, ...]
    location: bytes
    md5: bytes
    header_start: int
    body_start: int
    end: int
    lines: int  # LFs in the body, for text and embedded messages; 0 for others
    children: list[Part]
    digest: HeaderDigest | None  # of the embedded message

    @property
    def size(self) -> int:
        """Octets of the body, still encoded."""
        return self.end - self.body_start

    @property
    def multipart(self) -> bool:
        return self.media == b"multipart"

    @property
    def message(self) -> bool:
        """Whether a message is embedded, which `children[0]` then is."""
        return self.digest is not None

    @property
    def text(self) -> bool:
        return self.media == b"text"

    @property
    def charset(self) -> bytes:
        """As declared; b"" when it is not."""
        return get(self.parameters, b"charset") or b""

    @property
    def file_name(self) -> str | None:
        return file_name(self.disposition_parameters, self.parameters)

    def header(self, blob: Octets) -> bytes:
        return blob[self.header_start : self.body_start]

    def body(self, blob: Octets) -> bytes:
        return blob[self.body_start : self.end]


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Part)


def pack(part: Part) -> bytes:
    return _encoder.encode(part)


def unpack(packed: bytes) -> Part:
    """Raises msgspec.DecodeError when these are not the octets of `pack`."""
    return _decoder.decode(packed)


def part_at(root: Part, path: Sequence[int]) -> Part | None:
    """The part with this number, or None (RFC 9051 section 6.4.5.1).

    () is the message itself. A message that is no multipart has one part, 1: its own body, so the
    same Part comes back. Numbers below an embedded message are those of the message in it.
    """
    part = root
    whole = True  # `part` is a message of its own: the root, or what a number has led into
    for number in path:
        if part.digest is not None and not whole:
            part, whole = part.children[0], True
        if part.media == b"multipart":
            if not 1 <= number <= len(part.children):
                return None
            part, whole = part.children[number - 1], False
        elif whole and number == 1:
            whole = False  # the body of a single part; once, as there is no 1.1 of a text
        else:
            return None
    return part


def walk(root: Part) -> Iterator[Part]:
    """Every part, each before its children and in order of their octets, embedded messages' too."""
    stack = [root]
    while stack:
        part = stack.pop()
        yield part
        if part.children:
            stack.extend(reversed(part.children))
