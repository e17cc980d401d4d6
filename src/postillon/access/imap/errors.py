"""The one place where what others refuse is said in IMAP's way (RFC 5530, RFC 9051 section 7.1)."""

from __future__ import annotations

from postillon.access.imap.answer import Answer, no
from postillon.account import errors
from postillon.protocol.imap.names import BadName
from postillon.store.operation import BlobLost, StoreError, StoreFull, StoreStopped

# Response code and text. Peers see this text, logs see the facts.
REFUSALS: dict[type[Exception], tuple[str, str]] = {
    errors.AccountNotFound: ("UNAVAILABLE", "The account is not available"),
    errors.MailboxNotFound: ("NONEXISTENT", "There is no such mailbox"),
    errors.MailboxExists: ("ALREADYEXISTS", "There is such a mailbox already"),
    errors.MailboxHasChildren: ("HASCHILDREN", "The name is kept for the mailboxes below it"),
    errors.BadMailboxName: ("CANNOT", "No mailbox can have this name"),
    errors.MailboxProtected: ("CANNOT", "INBOX cannot be deleted"),
    errors.NotAllowed: ("NOPERM", "You may not do this here"),
    errors.OwnersRights: ("CANNOT", "The owner keeps all rights"),
    errors.TooManyGrants: ("LIMIT", "The mailbox is shared with too many"),
    errors.RoleTaken: ("USEATTR", "Another mailbox has this use already"),
    errors.TooManyMailboxes: ("LIMIT", "There are too many mailboxes"),
    errors.OverQuota: ("OVERQUOTA", "The quota is used up"),
    errors.TooManyAnnotations: ("METADATA TOOMANY", "There are too many annotations"),
    errors.BadKeyword: ("CANNOT", "This keyword cannot be set"),
    errors.TooManyKeywords: ("LIMIT", "There are too many keywords on a message"),
    errors.EmailGone: ("EXPUNGEISSUED", "A message is gone"),
    errors.TooManyUploads: ("LIMIT", "There are too many uploads"),
    errors.NowhereFiled: ("CANNOT", "A message must be somewhere"),
    errors.MailboxNotEmpty: ("CANNOT", "There are messages in the mailbox"),
    errors.MaildropInUse: ("INUSE", "POP3 has the mailbox"),
    errors.MaildropLost: ("INUSE", "POP3 has the mailbox"),
    BadName: ("CANNOT", "This is no mailbox name"),
    BlobLost: ("CORRUPTION", "A message is damaged"),
    StoreFull: ("UNAVAILABLE", "There is no room, try again later"),
    StoreStopped: ("UNAVAILABLE", "The server is stopping, try again later"),
    StoreError: ("UNAVAILABLE", "Try again later"),
}
REFUSABLE = (errors.AccountError, BadName, StoreError)


def refusal(error: Exception) -> Answer:
    """The answer to one of REFUSABLE."""
    for kind in type(error).__mro__:
        if kind in REFUSALS:
            code, text = REFUSALS[kind]
            return no(text, code.encode())
    return no("Refused", b"CANNOT")
