"""Object ids as IMAP shows them (RFC 8474): the ids of the store, with a letter for their kind.

They are the ids that every other protocol shows too. A message keeps its EMAILID when it is moved; a
copy is a message of its own. Ids are of one account: in another's its number
follows, so that nothing there has an id that one's own has too.
"""

from __future__ import annotations


def mailbox_id(number: int, other: int = 0) -> bytes:
    """other: the account, unless it is one's own."""
    return b"F%d%b" % (number, _of(other))


def email_id(number: int, other: int = 0) -> bytes:
    return b"M%d%b" % (number, _of(other))


def thread_id(number: int, other: int = 0) -> bytes:
    return b"T%d%b" % (number, _of(other))


def _of(other: int) -> bytes:
    return b"-%d" % other if other else b""
