"""Mailbox names as IMAP writes them, and the paths they stand for.

A path is a tuple of components of any Unicode text, `/` included; on the wire `/` separates them. So a
`/` inside a component is written `=2F`. What already looks like that gains a `3D` (`=2F` in a name is
`=3D2F`, and that is `=3D3D2F`): every name has one spelling and every spelling one name, and whatever a
client creates is listed as the client spelt it.
"""

from __future__ import annotations

import re
import unicodedata

from postillon.protocol.imap import mutf7

DELIMITER = "/"
INBOX = "INBOX"  # any letter case at the top, RFC 3501 section 5.1
MAX_NAME = 1_000  # octets on the wire; ours: far above what clients offer to type
MAX_DEPTH = 50  # components; ours

Path = tuple[str, ...]

_ESCAPED = re.compile(r"=((?:3D)*)2F")
_SLASH_OR_ESCAPED = re.compile(r"/|=((?:3D)*)2F")


class BadName(ValueError):
    """Octets that are no mailbox name. The message says why, for a human."""


def decode_text(raw: bytes, *, utf8: bool = False) -> str:
    """The characters of a name or a pattern, NFC. `utf8`: the client has enabled UTF-8 names.

    Raw 8-bit UTF-8 is accepted from everybody: it cannot be modified UTF-7 (RFC 9051 section 5.1).
    """
    if len(raw) > MAX_NAME:
        raise BadName("the name is too long")
    try:
        text = raw.decode("utf-8") if utf8 or not raw.isascii() else mutf7.decode(raw)
    except ValueError as error:
        raise BadName("the name is not valid modified UTF-7 or UTF-8") from error
    if not text.isprintable() and any(unicodedata.category(c) in _CONTROL for c in text):
        raise BadName("the name holds a control character")
    return text if text.isascii() else unicodedata.normalize("NFC", text)


_CONTROL = frozenset({"Cc", "Cs", "Zl", "Zp"})  # RFC 5198 section 2 forbids them in names


def encode_text(text: str, *, utf8: bool = False) -> bytes:
    return text.encode("utf-8", "replace") if utf8 else mutf7.encode(text)


def path_of(text: str) -> Path:
    """The path a decoded name stands for. Raises BadName for an empty component or excess depth."""
    components = text.split(DELIMITER)
    if len(components) > MAX_DEPTH:
        raise BadName("the name is too deep")
    if not all(components):
        raise BadName("a part of the name is empty")
    if components[0].upper() == INBOX:
        components[0] = INBOX
    return tuple(_ESCAPED.sub(_unescape, part) if "2F" in part else part for part in components)


def text_of(path: Path) -> str:
    """The decoded name of a path: what `path_of` takes back to it."""
    return DELIMITER.join(
        _SLASH_OR_ESCAPED.sub(_escape, part) if "/" in part or "2F" in part else part
        for part in path
    )


def parse(raw: bytes, *, utf8: bool = False) -> Path:
    return path_of(decode_text(raw, utf8=utf8))


def write(path: Path, *, utf8: bool = False) -> bytes:
    return encode_text(text_of(path), utf8=utf8)


def _unescape(match: re.Match[str]) -> str:
    return f"={match[1][2:]}2F" if match[1] else "/"


def _escape(match: re.Match[str]) -> str:
    return "=2F" if match[0] == "/" else f"=3D{match[1]}2F"
