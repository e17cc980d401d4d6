"""Header lines that say which way a message came (RFC 5321 section 4.4); each ends with CRLF."""

from __future__ import annotations

import re
from base64 import b32encode

from postillon.mail.address import Address
from postillon.mail.dates import format_date

MAX_NAME = 255  # octets of a name a peer gave itself
MAX_TLS = 100  # octets of the words about TLS

_UNFIT = re.compile(r"[^A-Za-z0-9._:\[\]-]+")
_UNFIT_COMMENT = re.compile(r"[^A-Za-z0-9._,:;=+/ -]+")


def protocol(
    *, extended: bool, tls: bool, authenticated: bool, utf8: bool = False, lmtp: bool = False
) -> str:
    """The word after `with` (RFC 3848; RFC 6531 section 4.3)."""
    suffix = ("S" if tls else "") + ("A" if authenticated else "")
    if utf8:
        return ("UTF8LMTP" if lmtp else "UTF8SMTP") + suffix
    if lmtp:
        return "LMTP" + suffix
    return ("ESMTP" if extended else "SMTP") + (suffix if extended else "")


def received(
    *,
    helo: str,
    peer: str,
    by: str,
    protocol: str,
    queue_id: str,
    at: int,
    peer_name: str | None = None,
    forward_path: Address | None = None,
    tls: str = "",
) -> bytes:
    """The Received field of this hop (RFC 5321 section 4.4).

    helo: what the peer called itself; whatever is no name in it is replaced. peer: its address.
    peer_name: its verified host name, when known. by: our host name. protocol: see `protocol`.
    at: milliseconds. forward_path: only for a single recipient, or others would learn of it.
    tls: version and cipher, for a comment.
    """
    tcp = f"{peer_name} {_literal(peer)}" if peer_name else _literal(peer)
    secured = f"\r\n\t({_UNFIT_COMMENT.sub('?', tls)[:MAX_TLS]})" if tls else ""
    wanted = f"\r\n\tfor <{forward_path}>" if forward_path is not None else ""
    line = (
        f"Received: from {_name(helo)} ({tcp})\r\n\tby {by} with {protocol}"
        f"{secured}\r\n\tid {queue_id}{wanted};\r\n\t{format_date(at)}\r\n"
    )
    return line.encode()


def received_here(by: str, queue_id: str, at: int) -> bytes:
    """The Received field of a message that a client of our own HTTP server has sent. at: ms."""
    return f"Received: by {by} with HTTP\r\n\tid {queue_id};\r\n\t{format_date(at)}\r\n".encode()


def return_path(reverse_path: Address | None) -> bytes:
    """The line final delivery writes; <> for the null sender."""
    return (
        b"Return-Path: <>\r\n"
        if reverse_path is None
        else f"Return-Path: <{reverse_path}>\r\n".encode()
    )


def delivered_to(address: Address) -> bytes:
    """Marks a copy as delivered to this address, so that a loop is seen when it comes back."""
    return f"Delivered-To: {address}\r\n".encode()


def new_message_id(hostname: str, random: bytes) -> str:
    """A message id with its brackets. random: at least 12 octets that nobody can guess."""
    return f"<{b32encode(random).decode().rstrip('=').lower()}@{hostname}>"


def message_id(hostname: str, random: bytes) -> bytes:
    return f"Message-ID: {new_message_id(hostname, random)}\r\n".encode()


def date(at: int, offset: int = 0) -> bytes:
    """A Date line; milliseconds and minutes east of UTC."""
    return f"Date: {format_date(at, offset)}\r\n".encode()


def _name(helo: str) -> str:
    return _UNFIT.sub("?", helo)[:MAX_NAME] or "?"


def _literal(peer: str) -> str:
    peer = _UNFIT.sub("?", peer)
    return f"[IPv6:{peer}]" if ":" in peer else f"[{peer}]"
