"""What a mailbox is for (RFC 6154, RFC 8621 section 2), and the ones every account begins with."""

from __future__ import annotations

from enum import Enum

from postillon.account.ids import MailboxId


class Role(Enum):
    """At most one mailbox of an account has each. The value is the JMAP name, lower case."""

    INBOX = "inbox"
    DRAFTS = "drafts"
    SENT = "sent"
    JUNK = "junk"
    TRASH = "trash"
    ARCHIVE = "archive"
    IMPORTANT = "important"
    FLAGGED = "flagged"
    ALL = "all"


# INBOX has the same id in every account, so that delivery needs no lookup. It is never deleted.
INBOX_ID = MailboxId(1)
INBOX_NAME = "INBOX"  # any case means it, at the top of the hierarchy (RFC 9051 section 5.1)

DEFAULT_MAILBOXES = (
    (INBOX_NAME, Role.INBOX),
    ("Drafts", Role.DRAFTS),
    ("Sent", Role.SENT),
    ("Junk", Role.JUNK),
    ("Trash", Role.TRASH),
    ("Archive", Role.ARCHIVE),
)
