"""The header of a submitted message: what is looked at, what is added (RFC 6409 section 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from postillon.mail import header, trace
from postillon.mail.address import Address
from postillon.mail.octets import Octets

RANDOM = 15  # octets of a Message-ID that nobody can guess


@dataclass(frozen=True, slots=True)
class TopHeader:
    """The facts of a header that decide about submission."""

    froms: tuple[bytes, ...] = ()  # values of all From fields, unfolded
    dated: bool = False
    identified: bool = False


def read(content: Octets) -> TopHeader:
    block = content[: header.header_end(content, 0, min(len(content), header.MAX_HEADER))]
    froms, dated, identified = [], False, False
    for name, value in header.unfolded(block):
        if name == b"from":
            froms.append(value)
        elif name == b"date":
            dated = True
        elif name == b"message-id":
            identified = True
    return TopHeader(tuple(froms), dated, identified)


def completion(
    found: TopHeader, author: Address, hostname: str, now: int, random: Callable[[int], bytes]
) -> bytes:
    """The lines a submitted message lacks; author: whose From it gets if it has none."""
    lines = b""
    if not found.identified:
        lines += trace.message_id(hostname, random(RANDOM))
    if not found.dated:
        lines += trace.date(now)
    if not found.froms:
        lines += f"From: {author}\r\n".encode()
    return lines
