"""Octets as mailbox names and LIST patterns."""

from __future__ import annotations

from postillon.protocol.imap import names
from postillon.protocol.imap.pattern import Pattern

SEEDS = [b"INBOX/x", b"&U,BTFw-/&ZeVnLIqe-", b"a=3D2Fb/=2F", b"%/*a%", "\u00fc".encode()]


def one(data: bytes) -> None:
    try:
        path = names.parse(data)
    except names.BadName:
        path = ()
    if path:
        assert names.parse(names.write(path)) == path
    try:
        Pattern(data).matches("INBOX/x/y")
    except names.BadName:
        return
