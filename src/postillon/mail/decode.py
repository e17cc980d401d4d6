"""Content-Transfer-Encoding undone (RFC 2045 section 6), tolerantly and in linear time."""

from __future__ import annotations

import binascii
import re

from postillon.mail.octets import Octets
from postillon.mail.part import Part

IDENTITY = frozenset((b"7bit", b"8bit", b"binary", b""))
KNOWN = IDENTITY | {b"base64", b"quoted-printable"}

MAX_LINE = 1 << 20  # octets of a line of quoted-printable that are kept; mail has 76
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64) - {ord("=")})
# White space at the end of a line was added on the way (RFC 2045 section 6.7, rule 3). Looked for at
# the beginning of each run only, so that it is linear.
_PADDING = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n|\Z)")


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
        return binascii.a2b_qp(_PADDING.sub(b"", octets))
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


class Decoder:
    """Undoes a transfer encoding of octets that come in pieces, without keeping them.

    Gives the same octets as `decode_transfer` of the whole. Raises UnknownEncoding when made.
    """

    def __init__(self, encoding: bytes) -> None:
        if encoding not in KNOWN:
            raise UnknownEncoding(encoding.decode("ascii", "replace"))
        self._encoding = encoding
        self._rest = b""

    def feed(self, piece: bytes) -> bytes:
        if self._encoding == b"quoted-printable":
            octets = self._rest + piece
            cut = octets.rfind(b"\n") + 1  # what a line means is known at its end
            if not cut and len(octets) > MAX_LINE:
                tail = octets.find(b"=", len(octets) - 3)  # an escape may be cut here
                cut = len(octets) if tail < 0 else tail
                cut = len(octets[:cut].rstrip(b" \t")) or cut  # and padding of the line
            self._rest = octets[cut:]
            return decode_transfer(octets[:cut], self._encoding)
        if self._encoding == b"base64":
            return self._base64(piece)
        return piece

    def finish(self) -> bytes:
        """What is left at the end."""
        rest, self._rest = self._rest, b""
        return decode_transfer(rest, self._encoding)

    def _base64(self, piece: bytes) -> bytes:
        *runs, last = (self._rest + piece.translate(None, _NOT_BASE64)).split(b"=")
        whole = len(last) & ~3
        self._rest = last[whole:]
        found = [decode_base64(run) for run in runs]
        found.append(binascii.a2b_base64(last[:whole]))
        return b"".join(found)
