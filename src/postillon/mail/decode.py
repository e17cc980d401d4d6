"""Content-Transfer-Encoding undone (RFC 2045 section 6), tolerantly and in linear time."""

from __future__ import annotations

import binascii

from postillon.mail.octets import Octets
from postillon.mail.part import Part

IDENTITY = frozenset((b"7bit", b"8bit", b"binary", b""))
KNOWN = IDENTITY | {b"base64", b"quoted-printable"}

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64) - {ord("=")})


class UnknownEncoding(ValueError):
    """An encoding nobody can undo: IMAP's UNKNOWN-CTE (RFC 3516)."""


def decoded(blob: Octets, part: Part) -> bytes:
    """The body of a part without its transfer encoding. Raises UnknownEncoding."""
    return decode_transfer(part.body(blob), part.encoding)


def decode_transfer(octets: bytes, encoding: bytes) -> bytes:
    """Undo an encoding, given in lower case.

    Octets that do not belong there are skipped, missing padding is added, text after padding goes
    on: attachments are glued together in the field. Raises UnknownEncoding and nothing else.
    """
    if encoding == b"quoted-printable":
        return binascii.a2b_qp(octets)
    if encoding == b"base64":
        return decode_base64(octets)
    if encoding in IDENTITY:
        return octets
    raise UnknownEncoding(encoding.decode("ascii", "replace"))


def decode_base64(octets: bytes) -> bytes:
    """Base64 with whatever else stands between it."""
    padding = octets.find(b"=")
    if padding < 0 or not octets[padding:].strip(b"= \t\r\n"):
        try:
            return binascii.a2b_base64(octets)
        except binascii.Error:
            pass
    runs = octets.translate(None, _NOT_BASE64).split(b"=")
    return b"".join(
        binascii.a2b_base64(run[: len(run) - (len(run) % 4 == 1)] + b"==") for run in runs if run
    )
