"""Numbered messages for crash tests: who gets which, and what a server's mailboxes hold of them.

A message's octets and recipients follow from its number alone (benchmarks.load), so that each copy
found can be judged without any other record.
"""

from __future__ import annotations

import imaplib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.load import numbered_message
from support.server import PASSWORD, Server

BOXES = [f"box{n}@example.org" for n in range(8)]
SIZES = (600, 3_000, 10_240, 60_000)
_RECEIVED_ID = re.compile(rb"\bid (\w+)")


def recipients_of(number: int) -> list[str]:
    """One to three boxes, by the number alone."""
    return [BOXES[(number + step) % len(BOXES)] for step in range(1 + number % 3)]


def message_of(number: int) -> bytes:
    return numbered_message(number, SIZES[number % len(SIZES)], "kill")


@dataclass(frozen=True, slots=True)
class Copy:
    """A message in a mailbox. `ids` are the queue ids of its Received fields, the last server first."""

    number: int
    box: str
    whole: bool  # its octets are those that were sent
    ids: tuple[bytes, ...]


def copies(server: Server, box: str) -> Iterator[Copy]:
    """What a box holds, read over IMAP."""
    with imaplib.IMAP4(server.host, server.port("imap")) as client:
        client.login(box, PASSWORD)
        client.select("INBOX", readonly=True)
        _, data = client.fetch("1:*", "(BODY.PEEK[])")
        for item in data:
            if not isinstance(item, tuple):
                continue
            octets = item[1]
            number = int(octets.partition(b"X-Number: ")[2].split(b"\r\n", 1)[0])
            whole = octets.endswith(message_of(number))
            head = octets.partition(b"From: Load")[0]
            yield Copy(number, box, whole, tuple(_RECEIVED_ID.findall(head)))
