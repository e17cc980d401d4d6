"""Fuzz target: the parsers of single header values."""

from __future__ import annotations

from postillon.mail.addresses import parse_mailboxes
from postillon.mail.dates import parse_date
from postillon.mail.digest import bare_ids
from postillon.mail.header import split
from postillon.mail.parameters import file_name, parse_disposition, parse_type
from postillon.mail.strip import drop_bcc
from postillon.mail.subject import base_subject
from postillon.mail.words import decode_words


def one(data: bytes) -> None:
    text = decode_words(data)
    if "\n" in text or "\r" in text or "\0" in text:
        raise AssertionError("decoded words break a line")
    base_subject(data)
    parse_date(data)
    parse_type(data)
    name = file_name(parse_disposition(b"attachment;" + data)[1], ())
    if name is not None and not name.isprintable():
        raise AssertionError("a file name with control characters")
    bare_ids(data)
    for mailbox in parse_mailboxes(data):
        if any(octet in field for field in mailbox if field for octet in b"\r\n\0"):
            raise AssertionError("a mailbox breaks a line")
    list(split(data))
    if b"bcc" in {field.name.lower() for field in split(drop_bcc(data))}:
        raise AssertionError("a Bcc is left")
