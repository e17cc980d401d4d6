"""Mailboxes of an account: what one is, where it hangs, and how it is found.

A mailbox has a parent and a name of any Unicode; a path is the tuple of names from the top. There is
no separator here: `/` is an ordinary character, and IMAP escapes it its own way.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from postillon.account.errors import BadMailboxName, MailboxNotFound
from postillon.account.ids import AccountId, MailboxId, ModSeq, Uid
from postillon.account.rights import ALL, Right
from postillon.account.roles import INBOX_ID, INBOX_NAME, Role
from postillon.store.operation import Row, Steps

Path = tuple[str, ...]

MAX_DEPTH = 20  # names in a path; ours
MAX_NAME = 255  # octets of one name in UTF-8; ours, JMAP's maxSizeMailboxName asks for at least 100
MAX_MAILBOXES = 10_000  # in one account; ours

TOP = 0  # `mailbox.parent` of the uppermost ones
DOOMED = -1  # `mailbox.parent` of one that is deleted and still being emptied: nobody sees it


class MailboxKind(IntEnum):
    """Column `mailbox.kind`."""

    MAIL = 0
    CALENDAR = 1
    CONTACTS = 2
    TASKS = 3
    NOTES = 4
    CONFIGURATION = 5
    NAME_ONLY = 9  # was deleted while it had children: holds their place, takes no mail


class Mailbox(msgspec.Struct, frozen=True):
    """A mailbox as it was read, with its counters."""

    id: MailboxId
    parent: MailboxId  # TOP for the uppermost
    name: str
    path: Path
    kind: MailboxKind
    role: Role | None
    hidden: bool
    subscribed: bool
    uid_validity: int
    uid_next: Uid
    recent_uid: Uid  # the first that no session has been told is \Recent
    total: int
    unseen: int
    deleted: int  # placements with \Deleted
    octets: int
    modseq: ModSeq  # highest of its placements, removed ones included
    has_children: bool
    rights: Right = ALL  # of who has asked

    @property
    def selectable(self) -> bool:
        return self.kind is MailboxKind.MAIL


_COLUMNS = (
    "mailbox, parent, name, kind, role, hidden, subscribed, uid_validity, uid_next, recent_uid,"
    " total, unseen, deleted, octets, modseq"
)


def _mailbox(row: Row, path: Path, has_children: bool) -> Mailbox:
    number, parent, name, kind, role, hidden, subscribed, *rest = row[:15]
    return Mailbox(  # type: ignore[call-arg]  # the checker cannot count the rest
        number, parent, name, path, MailboxKind(kind), Role(role) if role else None, bool(hidden),
        bool(subscribed), *rest, has_children,
    )  # fmt: skip


def every(account: AccountId) -> Steps[list[Mailbox]]:
    """All mailboxes, INBOX first, each before its children, siblings by name."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM mailbox WHERE account = ? AND parent >= 0",  # noqa: S608
        (account,),
    )
    children: dict[int, list[Row]] = {}
    for row in rows:
        children.setdefault(row[1], []).append(row)
    for siblings in children.values():
        siblings.sort(key=lambda row: (row[0] != INBOX_ID, row[2].casefold(), row[2]))
    found: list[Mailbox] = []
    waiting: list[tuple[Row, Path]] = [(row, (row[2],)) for row in reversed(children.get(TOP, ()))]
    while waiting:
        row, path = waiting.pop()
        below = children.get(row[0], [])
        found.append(_mailbox(row, path, bool(below)))
        waiting.extend((child, (*path, child[2])) for child in reversed(below))
    return found


def one(account: AccountId, mailbox: MailboxId) -> Steps[Mailbox]:
    """Raises MailboxNotFound."""
    rows = yield (
        f"SELECT {_COLUMNS}, EXISTS (SELECT 1 FROM mailbox c WHERE c.account = m.account"  # noqa: S608
        " AND c.parent = m.mailbox) FROM mailbox m WHERE account = ? AND mailbox = ? AND parent >= 0",
        (account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
    path = yield from path_of(account, rows[0][1])
    return _mailbox(rows[0], (*path, rows[0][2]), bool(rows[0][15]))


def path_of(account: AccountId, mailbox: int) -> Steps[Path]:
    """The names down to a mailbox that is there; () for TOP."""
    names: list[str] = []
    while mailbox > TOP and len(names) <= MAX_DEPTH:
        rows = yield (
            "SELECT parent, name FROM mailbox WHERE account = ? AND mailbox = ?",
            (account, mailbox),
        )
        if not rows:
            raise MailboxNotFound(mailbox)
        mailbox = rows[0][0]
        names.append(rows[0][1])
    return tuple(reversed(names))


def child(account: AccountId, parent: int, name: str) -> Steps[MailboxId | None]:
    """The mailbox of this name below `parent`."""
    rows = yield (
        "SELECT mailbox FROM mailbox WHERE account = ? AND parent = ? AND name = ?",
        (account, parent, name),
    )
    return rows[0][0] if rows else None


def find(account: AccountId, path: Path) -> Steps[MailboxId | None]:
    """The mailbox at a path, INBOX in any case at the top; None also for what could be no name."""
    try:
        names = check_path(path)
    except BadMailboxName:
        return None
    at: int = TOP
    for name in names:
        below = yield from child(account, at, name)
        if below is None:
            return None
        at = below
    return MailboxId(at)


def of_role(account: AccountId, role: Role) -> Steps[MailboxId | None]:
    if role is Role.INBOX:
        return INBOX_ID
    rows = yield (
        "SELECT mailbox FROM mailbox WHERE account = ? AND role = ? AND parent >= 0",
        (account, role.value),
    )
    return rows[0][0] if rows else None


def deleted_mailboxes(account: AccountId) -> Steps[set[int]]:
    """Mailboxes that are deleted and still being emptied."""
    rows = yield ("SELECT mailbox FROM mailbox WHERE account = ? AND parent = ?", (account, DOOMED))
    return {mailbox for (mailbox,) in rows}


def find_detail(account: AccountId, detail: str) -> Steps[MailboxId | None]:
    """The mailbox a sub-address means: of the top, of that name without regard to case."""
    wanted = unicodedata.normalize("NFC", detail).casefold()
    if not wanted:
        return None
    rows = yield (
        "SELECT name, mailbox FROM mailbox WHERE account = ? AND parent = ? AND kind = 0"
        " AND hidden = 0",
        (account, TOP),
    )
    matches = sorted(row for row in rows if row[0].casefold() == wanted)
    return matches[0][1] if matches else None


def check_path(path: Sequence[str]) -> Path:
    """The path as it is stored: names in NFC, INBOX in capitals. Raises BadMailboxName."""
    path = tuple(path)
    if not path or len(path) > MAX_DEPTH:
        raise BadMailboxName(path, f"a path has 1 to {MAX_DEPTH} names")
    names = [_check_name(path, name) for name in path]
    if names[0].upper() == INBOX_NAME:
        names[0] = INBOX_NAME
    return tuple(names)


def _check_name(path: Path, name: str) -> str:
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise BadMailboxName(path, "it is not valid Unicode") from error
    if not 1 <= size <= MAX_NAME:
        raise BadMailboxName(path, f"a name has 1 to {MAX_NAME} octets")
    for character in name:
        if unicodedata.category(character) in {"Cc", "Zl", "Zp"}:
            raise BadMailboxName(path, "control characters are not allowed")
    return name
