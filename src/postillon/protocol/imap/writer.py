"""How the server writes its words (RFC 3501 section 9). Everything here gives octets for the wire."""

from __future__ import annotations

import re
from collections.abc import Iterable

MAX_QUOTED = (
    1_000  # octets; longer strings travel as literals. Ours: clients read lines into buffers
)

NIL = b"NIL"

# RFC 3501 section 9: what may stand between quotes without an escape.
_SAFE = re.compile(rb"[ !#-\[\]-~]*\Z")
_QUOTABLE = re.compile(rb"[ -~]*\Z")
_ATOM = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+\Z")


def string(raw: bytes) -> bytes:
    """Quoted where it can be, as a literal otherwise."""
    if len(raw) <= MAX_QUOTED:
        if _SAFE.match(raw):
            return b'"%b"' % raw
        if _QUOTABLE.match(raw):
            return b'"%b"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
    return literal(raw)


def nstring(raw: bytes | None) -> bytes:
    return NIL if raw is None else string(raw)


def literal(raw: bytes) -> bytes:
    raw = without_nul(raw)
    return b"{%d}\r\n%b" % (len(raw), raw)


def without_nul(raw: bytes) -> bytes:
    """NUL cannot be in a string (RFC 3501 section 4.3): it becomes 0x80, which keeps the length."""
    return raw.replace(b"\0", b"\x80") if b"\0" in raw else raw


def astring(raw: bytes) -> bytes:
    """An atom where it can be. NIL would be read as no string at all by some clients."""
    if _ATOM.match(raw) and raw.upper() != NIL:
        return raw
    return string(raw)


def mailbox(raw: bytes) -> bytes:
    """A mailbox name: always quoted, as all servers of note do; UTF-8 only where it was enabled."""
    if b"\r" in raw or b"\n" in raw or b"\0" in raw:
        return literal(raw)
    return b'"%b"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"')


def listed(words: Iterable[bytes]) -> bytes:
    return b"(%b)" % b" ".join(words)


def human(text: str) -> bytes:
    """Text for a human at the end of a response: one line of printable ASCII, never empty."""
    return re.sub(rb"[^ -~]+", b"?", text.encode("ascii", "replace")) or b"Done"
