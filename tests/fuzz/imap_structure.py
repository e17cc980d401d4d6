"""Octets as a message: what FETCH says of it is always well-formed."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import Any

from postillon.access.imap.sections import header_of, octets_of, read_pieces, size_of
from postillon.account.emails import EmailRow
from postillon.mail.mime import scan
from postillon.mail.part import Part
from postillon.protocol.imap.commands import Fetch
from postillon.protocol.imap.parser import parse
from postillon.protocol.imap.structure import envelope, structure
from postillon.store.operation import BlobRef

_LITERAL = re.compile(rb"\{(\d+)\}\r\n")
_ASK = parse(
    b"a FETCH 1 (BODY[] BODY[HEADER] BODY[TEXT]<3.9> BODY[HEADER.FIELDS (From)] BODY[1] BODY[1.MIME]"
    b" BODY[2.1] BODY[1.HEADER.FIELDS.NOT (x)] BODY[1.1.TEXT])"
)

SEEDS = [
    b'From: "a \\"b" <c@d>, g: x@y;\r\nTo: z\r\nSubject: =?utf-8?q?x?=\r\n\r\nbody\r\n',
    b"Content-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\nContent-Type: message/rfc822\r\n\r\n"
    b"From: a@b\r\n\r\nc\r\n--x\r\nContent-Type: text/html; charset*0=a; charset*1=b\r\n"
    b"\r\nd\r\n--x--\r\n",
]


def one(data: bytes) -> None:
    found = scan(data)
    for text in (
        envelope(found.digest),
        structure(found.structure, extended=True),
        structure(found.structure, extended=False),
    ):
        balanced(text)
    row = EmailRow(
        1,
        1,
        1,
        len(data) + 6,
        b"X: y\r\n",
        BlobRef(0, 0, len(data)),
        0,
        0,
        b"",
        b"",
        "",
        0,
        None,
        1,
        1,
    )  # type: ignore[arg-type]
    assert isinstance(_ASK.argument, Fetch)
    for section in _ASK.argument.items:
        _without_waiting(_read(section, row, found.structure, data))


async def _read(section: Any, row: EmailRow, root: Part, data: bytes) -> None:
    async def read(row: EmailRow, start: int, stop: int | None) -> bytes:
        return data[start:stop]

    needed = header_of(section, root)
    header = b"" if needed is None else data[slice(*needed)]
    pieces = octets_of(section, row, root, header)
    if pieces is not None:
        found = [octets async for octets in read_pieces(pieces, row, read)]
        assert len(b"".join(found)) == size_of(pieces)


def _without_waiting(steps: Coroutine[Any, Any, None]) -> None:
    """Run what awaits nothing that takes time; a loop for each input would cost too much."""
    try:
        steps.send(None)
    except StopIteration:
        return
    raise AssertionError("something waits")


def balanced(text: bytes) -> None:
    """Parentheses close, strings end, and nothing else than the grammar's octets stands outside."""
    depth = position = 0
    while position < len(text):
        octet = text[position : position + 1]
        if octet == b'"':
            position += 1
            while text[position : position + 1] != b'"':
                position += 2 if text[position : position + 1] == b"\\" else 1
                assert position < len(text)
        elif octet == b"{":
            literal = _LITERAL.match(text, position)
            assert literal is not None
            position = literal.end() + int(literal[1]) - 1
        elif octet == b"(":
            depth += 1
        elif octet == b")":
            depth -= 1
            assert depth >= 0
        else:
            assert octet in b" NIL0123456789", octet
        position += 1
    assert depth == 0
