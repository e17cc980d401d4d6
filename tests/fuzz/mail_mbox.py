"""Fuzz target: mbox files, their separators, quoting and the mailbox's own fields; Maildir names."""

from __future__ import annotations

from postillon.mail import maildir
from postillon.mail.mbox import (
    NotMbox,
    Variant,
    crlf,
    first_separator,
    is_separator,
    quoted,
    separator_date,
    spans,
    take_marks,
    unquoted,
)

FROM = b"From ada@example.org Thu Nov 26 10:15:00 2026\n"


def one(data: bytes) -> None:
    is_separator(data)
    separator_date(data)
    for variant in Variant:
        _split(data, variant)
        _split(FROM + data, variant)
        unquoted(data, variant)
    content, marks = take_marks(crlf(data))
    if not 0 <= marks.flags <= 31:
        raise AssertionError("flags that are none")
    _write(content)
    maildir.read_keywords(data)
    name = data.decode("utf-8", "surrogateescape")
    maildir.marks_of(name, {"a": "b"})
    if not name.startswith(maildir.base_of(name)):
        raise AssertionError("a base that is not the beginning of its name")


def _split(data: bytes, variant: Variant) -> None:
    """Messages follow each other without a gap, and none reaches into the next."""
    size = len(data)

    def read(offset: int, octets: int) -> bytes:
        return data[offset : offset + octets]

    position = None
    try:
        for span in spans(read, size, 0, variant):
            if position is not None and span.start != position:
                raise AssertionError("octets between two messages")
            if not span.start <= span.content <= span.end <= span.next <= size:
                raise AssertionError("a message that is inside out")
            position = span.next
    except NotMbox as error:
        after = first_separator(read, size, error.offset)
        if after <= error.offset < size:
            raise AssertionError("no way on from rubbish") from error


def _write(content: bytes) -> None:
    """One message written is one message read."""
    data = FROM + quoted(content, 0, None)
    found = list(spans(lambda at, octets: data[at : at + octets], len(data), 0, Variant.MBOXRD))
    if len(found) != 1:
        raise AssertionError("a quoted message became several")


SEEDS = [
    FROM + b"Subject: a\nStatus: RO\n\n>From here\n\n" + FROM + b"Subject: b\n\nb\n\n",
    FROM + b"Content-Length: 5\n\nabcd\n\n" + FROM + b"\n",
    b"From - Thu, 26 Nov 2026 10:15:00 +0100\r\nX-Mozilla-Status: 1007\r\n\r\nx\r\n\r\n",
    b"1795688100.M1P2.host,S=5:2,FRSTDPab",
    b"0 urgent\n1 $label1\n",
]
