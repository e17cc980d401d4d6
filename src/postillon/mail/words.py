"""Encoded words in header fields (RFC 2047), read tolerantly and written strictly."""

from __future__ import annotations

import binascii
import re
from base64 import b64encode

from postillon.mail.charset import decode_octets

MAX_WORDS = 2_000  # of one value; the rest stays as it is (FAULTS 24)
MAX_WORD = 56  # characters of a word of ours; 75 may be, but then none fits after a field name

# The text may hold spaces although it must not: many writers forget that (RFC 2047 section 2).
_WORD = re.compile(rb"=\?([^?\s*]{1,64})(?:\*[^?\s]{0,64})?\?([bBqQ])\?([^?\r\n]*)\?=")
_CLEAN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_PAYLOAD = MAX_WORD - len("=?utf-8?b??=")  # base64 characters in a word of ours
_CHUNK = _PAYLOAD // 4 * 3  # octets


def decode_words(raw: bytes) -> str:
    """Text for people. Control characters become spaces; never fails (RFC 7103 section 7).

    Adjacent words in one charset are joined before they are decoded, because writers cut inside
    characters; the space between two words is not text (RFC 2047 section 6.2).
    """
    if b"=?" not in raw:
        return clean(decode_octets(raw))
    pieces: list[str] = []
    charset, pending = b"", b""  # the octets of a run of words that is not yet decoded
    position = 0
    for number, match in enumerate(_WORD.finditer(raw)):
        if number == MAX_WORDS:
            break
        between = raw[position : match.start()]
        apart = not between.isspace() if between else False
        if pending and (apart or match[1].lower() != charset):
            pieces.append(decode_octets(pending, charset))
            pending = b""
        if between and (apart or position == 0):
            pieces.append(decode_octets(between))
        charset = match[1].lower()
        pending += _octets(match[2], match[3])
        position = match.end()
    if pending:
        pieces.append(decode_octets(pending, charset))
    pieces.append(decode_octets(raw[position:]))
    return clean("".join(pieces))


def clean(text: str) -> str:
    """One line: control characters become one space, the ends are trimmed."""
    if not text.isprintable():
        text = _CLEAN.sub(" ", text)
    return text.strip(" \t")


def encode_words(text: str) -> list[str]:
    """ASCII words that say `text` and may be folded between one another (RFC 2047 section 2).

    UTF-8 in base64, never cut inside a character. Raises ValueError on CR, LF and NUL.
    """
    if any(character in "\r\n\0" for character in text):
        raise ValueError("a header value holds CR, LF or NUL")
    words = []
    octets = b""
    for character in text:
        encoded = character.encode("utf-8", "replace")
        if len(octets) + len(encoded) > _CHUNK:
            words.append(f"=?utf-8?b?{b64encode(octets).decode()}?=")
            octets = b""
        octets += encoded
    if octets:
        words.append(f"=?utf-8?b?{b64encode(octets).decode()}?=")
    return words


def _octets(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"bB":
        text = text.translate(None, b" \t=")
        try:
            return binascii.a2b_base64(text[: len(text) - (len(text) % 4 == 1)] + b"==")
        except binascii.Error:
            return text
    return binascii.a2b_qp(text, header=True)
