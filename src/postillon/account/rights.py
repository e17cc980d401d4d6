"""What somebody may do in a mailbox: the rights of RFC 4314, and how they are written.

The owner has all of them, always. For everybody else `LOOKUP` comes first: where it is missing, the
mailbox is not there, whatever other rights are granted.
"""

from __future__ import annotations

from enum import IntFlag

from postillon.account.keywords import ALL_FLAGS, DELETED, SEEN


class Right(IntFlag):
    """Column `granted.rights`; section 2.1 of RFC 4314 in its order."""

    LOOKUP = 1  # l: the mailbox is seen
    READ = 2  # r: what is in it is read
    KEEP_SEEN = 4  # s: \\Seen is set and taken away
    WRITE = 8  # w: so are the other flags and the keywords; shared annotations are set
    INSERT = 16  # i: emails are put into it
    POST = 32  # p: kept for clients; mail to the mailbox is taken from everybody
    CREATE = 64  # k: mailboxes are made below it, or moved there
    DELETE_MAILBOX = 128  # x: it is deleted or renamed
    DELETE_MESSAGES = 256  # t: \\Deleted is set and taken away
    EXPUNGE = 512  # e: what has \\Deleted is removed
    ADMINISTER = 1024  # a: rights are seen and given


NONE = Right(0)
ALL = ~NONE
TAKE_OUT = Right.READ | Right.DELETE_MESSAGES | Right.EXPUNGE  # what a move needs where it begins

LETTERS = dict(zip("lrswipkxtea", Right, strict=True))
# RFC 2086 had one letter for several rights; clients of its time read and send it (section 2.1.1).
OBSOLETE = {
    "c": Right.CREATE,
    "d": Right.DELETE_MAILBOX | Right.DELETE_MESSAGES | Right.EXPUNGE,
}


def parse(text: str) -> Right:
    """The rights of these letters. Raises ValueError for a letter that is none."""
    found = NONE
    for letter in text:
        right = LETTERS.get(letter, OBSOLETE.get(letter))
        if right is None:
            raise ValueError(f"{letter!r} is no right")
        found |= right
    return found


def write(rights: Right) -> str:
    """Their letters in the order of RFC 4314."""
    return "".join(letter for letter, right in LETTERS.items() if right & rights)


def settable(rights: Right) -> int:
    """The flags that may be set and taken away; keywords go with WRITE."""
    flags = ALL_FLAGS & ~(SEEN | DELETED) if Right.WRITE in rights else 0
    if Right.KEEP_SEEN in rights:
        flags |= SEEN
    return flags | DELETED if Right.DELETE_MESSAGES in rights else flags
