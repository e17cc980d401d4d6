"""What a client may enable in its session."""

from __future__ import annotations

from enum import Flag


class Extra(Flag):
    """What a client has enabled: by ENABLE (RFC 5161), or by using it (RFC 7162 section 3.1)."""

    NONE = 0
    CONDSTORE = 1
    QRESYNC = 2
    UTF8 = 4  # UTF8=ACCEPT, RFC 9755
    REV2 = 8  # IMAP4rev2, RFC 9051
    UIDONLY = 16  # no sequence numbers any more, RFC 9586
