"""Remove from a submitted message what its other recipients must not see."""

from __future__ import annotations

import re

from postillon.mail.header import header_end
from postillon.mail.octets import Octets

# A field with its continuation lines. RFC 5322 section 3.6.3, and 3.6.6 for the resent one.
_BCC = re.compile(rb"^(?:resent-)?bcc[ \t]*:[^\n]*(?:\n|\Z)(?:[ \t][^\n]*(?:\n|\Z))*", re.I | re.M)


def drop_bcc(blob: Octets) -> Octets:
    """The message without Bcc and Resent-Bcc in its own header; the same object without any."""
    end = header_end(blob, 0, len(blob))
    match = _BCC.search(blob, 0, end)
    if match is None:
        return blob
    header = _BCC.sub(b"", blob[:end])
    return header + blob[end:]
