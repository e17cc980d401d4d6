"""What an account refuses. Knows nothing of IMAP, JMAP or SMTP; each has a table of its own."""

from __future__ import annotations


class AccountError(Exception):
    """Something an account refuses. Nothing has changed."""


class AccountNotFound(AccountError):
    def __init__(self, account: int) -> None:
        super().__init__(f"there is no account {account}")
        self.account = account


class MailboxNotFound(AccountError):
    """`wanted` is the id, the path or the role that was asked for."""

    def __init__(self, wanted: object) -> None:
        super().__init__(f"there is no mailbox {wanted}")
        self.wanted = wanted


class MailboxExists(AccountError):
    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(f"there is a mailbox {path} already")
        self.path = path


class MailboxHasChildren(AccountError):
    """A name that is only kept for its children cannot be deleted before them."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(f"the mailbox {path} has mailboxes below it")
        self.path = path


class BadMailboxName(AccountError):
    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(f"no mailbox can be called {path!r}: {problem}")
        self.path, self.problem = path, problem


class MailboxProtected(AccountError):
    """INBOX cannot be deleted (RFC 9051 section 6.3.5)."""

    def __init__(self, path: tuple[str, ...]) -> None:
        super().__init__(f"the mailbox {path} must stay")
        self.path = path


class NotAllowed(AccountError):
    """Somebody who is not the owner lacks a right. They may know that the mailbox is there."""

    def __init__(self, mailbox: int) -> None:
        super().__init__(f"this is not allowed in mailbox {mailbox}")
        self.mailbox = mailbox


class OwnersRights(AccountError):
    """The owner has all rights, always."""

    def __init__(self, account: int) -> None:
        super().__init__("the rights of the owner cannot be changed")
        self.account = account


class TooManyGrants(AccountError):
    def __init__(self, allowed: int) -> None:
        super().__init__(f"a mailbox is shared with at most {allowed} people and groups")
        self.allowed = allowed


class RoleTaken(AccountError):
    def __init__(self, role: str, holder: int) -> None:
        super().__init__(f"mailbox {holder} has the role {role} already")
        self.role, self.holder = role, holder


class TooManyMailboxes(AccountError):
    def __init__(self, allowed: int) -> None:
        super().__init__(f"an account holds at most {allowed} mailboxes")
        self.allowed = allowed


class TooManyAnnotations(AccountError):
    def __init__(self, found: int, allowed: int) -> None:
        super().__init__(f"{found} annotations at one mailbox, {allowed} are allowed")
        self.found, self.allowed = found, allowed


class OverQuota(AccountError):
    def __init__(self, used: int, allowed: int, wanted: int) -> None:  # octets
        super().__init__(f"{used} of {allowed} octets used, {wanted} more wanted")
        self.used, self.allowed, self.wanted = used, allowed, wanted


class BadKeyword(AccountError):
    def __init__(self, keyword: str) -> None:
        super().__init__(f"{keyword!r} cannot be a keyword")
        self.keyword = keyword


class TooManyKeywords(AccountError):
    def __init__(self, wanted: int, allowed: int) -> None:
        super().__init__(f"{wanted} keywords on one email, {allowed} allowed")
        self.wanted, self.allowed = wanted, allowed


class EmailGone(AccountError):
    """The email was removed while somebody was about to read it."""

    def __init__(self, email: int) -> None:
        super().__init__(f"email {email} is gone")
        self.email = email


class TooManyUploads(AccountError):
    """Uploads that nobody has used yet leave no room for another one."""

    def __init__(self, number: int, octets: int) -> None:
        super().__init__(f"{number} uploads with {octets} octets wait to be used")
        self.number, self.octets = number, octets


class MaildropInUse(AccountError):
    """Another POP3 session holds the maildrop."""

    def __init__(self, account: int) -> None:
        super().__init__(f"the maildrop of account {account} is in use")
        self.account = account


class MaildropLost(AccountError):
    """Another POP3 session has taken the maildrop over while this one was silent."""

    def __init__(self, account: int) -> None:
        super().__init__(f"the maildrop of account {account} was taken over")
        self.account = account


class NowhereFiled(AccountError):
    """An email is in one mailbox at least, always."""

    def __init__(self, email: int) -> None:
        super().__init__(f"email {email} would be in no mailbox")
        self.email = email


class MailboxNotEmpty(AccountError):
    """It was to be removed only if no email is in it."""

    def __init__(self, mailbox: int) -> None:
        super().__init__(f"there are emails in mailbox {mailbox}")
        self.mailbox = mailbox
