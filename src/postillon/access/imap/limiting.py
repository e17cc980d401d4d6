"""How many messages one command may be about (MESSAGELIMIT, RFC 9738); no limit unless one is set.

The newest are taken. The answer names the lowest UID that was looked at; the client goes on below it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, no

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

UidRanges = list[tuple[int, int]]


def newest(session: Session, ranges: Sequence[tuple[int, int]]) -> tuple[UidRanges, bytes]:
    """Of the messages of the view in these UID ranges as many as may be, and the code to say so.

    The code is b"" where that is all of them.
    """
    limit, uids = session.server.config.message_limit, session.selected.uids
    if not limit:
        return list(ranges), b""
    found: UidRanges = []
    left = limit
    for low, high in reversed(ranges):
        first, last = uids.below(low), uids.below(high + 1)
        if first >= last:
            continue
        if not left:
            return found[::-1], code(limit, found[-1][0])
        taken = min(left, last - first)
        found.append((uids[last - taken], uids[last - 1]))
        left -= taken
        if taken < last - first:
            return found[::-1], code(limit, found[-1][0])
    return found[::-1], b""


def code(limit: int, lowest: int) -> bytes:
    return b"MESSAGELIMIT %d %d" % (limit, lowest)


def too_many(session: Session, count: int) -> Answer | None:
    """The answer to a command that is carried out whole or not at all; None: it may be."""
    limit = session.server.config.message_limit
    if not limit or count <= limit:
        return None
    return no("That is too many messages for one command", b"MESSAGELIMIT %d" % limit)
