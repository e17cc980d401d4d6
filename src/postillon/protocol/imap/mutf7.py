"""Modified UTF-7, the spelling of mailbox names on the wire (RFC 3501 section 5.1.3)."""

from __future__ import annotations

import binascii
import re

_PLAIN = re.compile(r"[ -~]*\Z")
_RUN = re.compile(r"&|[^ -~]+")
_SHIFT = re.compile(rb"&([A-Za-z0-9+,]*)-")
_BASE64 = bytes.maketrans(b"/", b",")
_UNBASE64 = bytes.maketrans(b",", b"/")


def encode(text: str) -> bytes:
    """The one right spelling. Lone surrogates become U+FFFD: they are not text."""
    if _PLAIN.match(text) and "&" not in text:
        return text.encode("ascii")
    return _RUN.sub(_shifted, text).encode("ascii")


def decode(raw: bytes) -> str:
    """Raises ValueError for anything `encode` would not have written: a name has one spelling."""
    if b"&" not in raw:
        text = raw.decode("ascii")
    else:
        pieces: list[str] = []
        position = 0
        while (start := raw.find(b"&", position)) >= 0:
            match = _SHIFT.match(raw, start)
            if match is None:
                raise ValueError("a shift sequence does not end")
            pieces.append(raw[position:start].decode("ascii"))
            pieces.append(_unshifted(match[1]))
            position = match.end()
        pieces.append(raw[position:].decode("ascii"))
        text = "".join(pieces)
    if encode(text) != raw:
        raise ValueError("not the canonical spelling")
    return text


def _shifted(match: re.Match[str]) -> str:
    if match[0] == "&":
        return "&-"
    raw = match[0].encode("utf-16-be", "replace")
    return f"&{binascii.b2a_base64(raw, newline=False).rstrip(b'=').translate(_BASE64).decode()}-"


def _unshifted(digits: bytes) -> str:
    if not digits:
        return "&"
    padded = digits.translate(_UNBASE64) + b"=" * (-len(digits) % 4)
    try:
        return binascii.a2b_base64(padded, strict_mode=True).decode("utf-16-be")
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError("a shift sequence is not UTF-16 in base 64") from error
