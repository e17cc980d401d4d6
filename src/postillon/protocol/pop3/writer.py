"""Answers of a POP3 server as octets (RFC 1939 section 3, RFC 2449 section 8)."""

from __future__ import annotations

from collections.abc import Iterable

MAX_TEXT = 480  # octets of an answer's text; its line has at most 512 (RFC 2449 section 4)


def ok(text: str = "") -> bytes:
    return b"+OK%b\r\n" % _text(text)


def err(text: str, code: str = "") -> bytes:
    """code: a response code such as "IN-USE" or "SYS/TEMP" (RFC 2449 section 8, RFC 3206)."""
    return b"-ERR%b\r\n" % _text(f"[{code}] {text}" if code else text)


def listing(text: str, lines: Iterable[bytes]) -> bytes:
    """An answer of many lines, of which none begins with a dot."""
    return b"".join([ok(text), *(line + b"\r\n" for line in lines), b".\r\n"])


def challenge(data: bytes) -> bytes:
    """data: in Base64 already (RFC 5034 section 4)."""
    return b"+ %b\r\n" % data


def _text(text: str) -> bytes:
    data = " ".join(text.split()).encode("utf-8")[:MAX_TEXT]
    return b" " + data if data else b""
