"""Object ids as IMAP shows them (RFC 8474): the ids of the store, with a letter for their kind.

They are the ids that every other protocol shows too. A message keeps its EMAILID when it is moved; a
copy is a message of its own.
"""

from __future__ import annotations


def mailbox_id(number: int) -> bytes:
    return b"F%d" % number


def email_id(number: int) -> bytes:
    return b"M%d" % number


def thread_id(number: int) -> bytes:
    return b"T%d" % number
