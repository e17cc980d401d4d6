"""Changing mailboxes by their ids and parents (RFC 8621 section 2.5), on top of the tree by names.

INBOX stays where it is, under its name and with its role.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from postillon.account import hierarchy, mailboxes
from postillon.account.changes import Kind, record
from postillon.account.counters import next_modseq
from postillon.account.errors import (
    MailboxHasChildren,
    MailboxNotEmpty,
    MailboxNotFound,
    MailboxProtected,
    RoleTaken,
)
from postillon.account.hierarchy import sweep
from postillon.account.ids import AccountId, MailboxId
from postillon.account.mailboxes import TOP, Path
from postillon.account.rights import Right
from postillon.account.roles import INBOX_ID, Role
from postillon.store.operation import Steps, Tx

__all__ = [
    "AS_IT_IS", "REMOVING", "MailboxEdit", "change", "create", "needed", "path_below",
    "path_of_changed", "remove", "sweep",
]  # fmt: skip

REMOVING = Right.DELETE_MAILBOX


class Unchanged(Enum):
    """Where None is a value of its own."""

    AS_IT_IS = 0


AS_IT_IS = Unchanged.AS_IT_IS


@dataclass(frozen=True, slots=True)
class MailboxEdit:
    """None or AS_IT_IS: not changed. parent: TOP for none."""

    name: str | None = None
    parent: int | None = None
    role: Role | Unchanged | None = AS_IT_IS
    position: int | None = None
    subscribed: bool | None = None

    @property
    def moves(self) -> bool:
        return self.name is not None or self.parent is not None

    @property
    def owners(self) -> bool:
        """Whether it changes what is the owner's alone."""
        return self.role is not AS_IT_IS or self.subscribed is not None or self.position is not None


def needed(edit: MailboxEdit) -> Right:
    return Right.LOOKUP | (Right.DELETE_MAILBOX if edit.moves else Right.LOOKUP)


def path_below(account: AccountId, edit: MailboxEdit) -> Steps[Path]:
    """Where a new mailbox comes to stand. Raises MailboxNotFound for its parent."""
    above = yield from _path(account, edit.parent or TOP)
    return (*above, edit.name or "")


def path_of_changed(account: AccountId, mailbox: MailboxId, edit: MailboxEdit) -> Steps[Path]:
    """Where a mailbox comes to stand. Raises MailboxNotFound, for it or its parent."""
    found = yield from mailboxes.one(account, mailbox)
    above = found.path[:-1] if edit.parent is None else (yield from _path(account, edit.parent))
    return (*above, found.name if edit.name is None else edit.name)


def _path(account: AccountId, mailbox: int) -> Steps[Path]:
    if mailbox == TOP:
        return ()
    return (yield from mailboxes.one(account, MailboxId(mailbox))).path


def create(tx: Tx, account: AccountId, path: Path, edit: MailboxEdit) -> Steps[MailboxId]:
    """Raises BadMailboxName, MailboxExists, RoleTaken or TooManyMailboxes."""
    role = edit.role if isinstance(edit.role, Role) else None
    mailbox = yield from hierarchy.create(tx, account, path, role)
    yield from _describe(
        tx, account, mailbox, MailboxEdit(position=edit.position, subscribed=bool(edit.subscribed))
    )
    return mailbox


def change(tx: Tx, account: AccountId, mailbox: MailboxId, edit: MailboxEdit) -> Steps[None]:
    """Raises MailboxNotFound, BadMailboxName, MailboxExists, MailboxProtected or RoleTaken."""
    found = yield from mailboxes.one(account, mailbox)
    if edit.moves:
        path = yield from path_of_changed(account, mailbox, edit)
        if path != found.path:
            if mailbox == INBOX_ID:
                raise MailboxProtected(found.path)
            yield from hierarchy.rename(tx, account, mailbox, path)
    if edit.role is not AS_IT_IS and edit.role is not found.role:
        if mailbox == INBOX_ID:
            raise MailboxProtected(found.path)
        if edit.role is not None:
            holder = yield from mailboxes.of_role(account, edit.role)
            if holder is not None:
                raise RoleTaken(edit.role.value, holder)
    yield from _describe(tx, account, mailbox, edit)


def _describe(tx: Tx, account: AccountId, mailbox: MailboxId, edit: MailboxEdit) -> Steps[None]:
    """Role, place among siblings and subscription."""
    rows = yield (
        "SELECT role, position, subscribed FROM mailbox WHERE account = ? AND mailbox = ?"
        " AND parent >= 0",
        (account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
    role, position, subscribed = rows[0]
    if edit.role is not AS_IT_IS:
        role = edit.role.value if isinstance(edit.role, Role) else None
    if edit.position is not None:
        position = edit.position
    if edit.subscribed is not None:
        subscribed = int(edit.subscribed)
    if (role, position, subscribed) == tuple(rows[0]):
        return
    modseq, _ = yield from next_modseq(account)
    yield (
        "UPDATE mailbox SET role = ?, position = ?, subscribed = ?, changed = ?"
        " WHERE account = ? AND mailbox = ?",
        (role, position, subscribed, modseq, account, mailbox),
    )
    yield from record(tx, account, modseq, [(Kind.MAILBOX_CHANGED, mailbox, 0, mailbox)])


def remove(tx: Tx, account: AccountId, mailbox: MailboxId, *, with_emails: bool) -> Steps[None]:
    """Make it disappear; `sweep` then removes what was in it.

    Raises MailboxNotFound, MailboxProtected, MailboxHasChildren, or MailboxNotEmpty unless its emails
    are to go too.
    """
    found = yield from mailboxes.one(account, mailbox)
    if mailbox == INBOX_ID:
        raise MailboxProtected(found.path)
    if found.has_children:
        raise MailboxHasChildren(found.path)
    if found.total > found.deleted and not with_emails:
        raise MailboxNotEmpty(mailbox)
    yield from hierarchy.delete(tx, account, mailbox)
