"""Which mailboxes of an account have changed since a moment, and how: what NOTIFY begins with."""

from __future__ import annotations

import msgspec

from postillon.account import grants
from postillon.account.changes import Kind
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId, MailboxId
from postillon.account.rights import NONE, Right
from postillon.store.operation import Steps

OF_TREE = frozenset(
    (Kind.MAILBOX_CREATED, Kind.MAILBOX_CHANGED, Kind.MAILBOX_DELETED, Kind.GRANTED)
)
READ = Right.LOOKUP | Right.READ


class Touched(msgspec.Struct, frozen=True):
    """modseq: of the account, now. mailboxes: kinds of changes (changes.Kind) by mailbox."""

    modseq: int
    mailboxes: dict[MailboxId, frozenset[int]]


def since(account: AccountId, modseq: int, actor: int | None) -> Steps[Touched]:
    """Changes after `modseq`. actor: who asks, None for the owner.

    Of mailboxes that the actor may not read only that they or the tree have changed, not their
    messages. Raises AccountNotFound, also where the actor sees nothing any more.
    """
    rows = yield "SELECT modseq FROM account WHERE account = ?", (account,)
    if not rows:
        raise AccountNotFound(account)
    rights = None if actor is None else (yield from grants.by_mailbox(account, actor))
    if rights is not None and not any(held & Right.LOOKUP for held in rights.values()):
        raise AccountNotFound(account)
    now = rows[0][0]
    if now <= modseq:
        return Touched(now, {})
    rows = yield (
        "SELECT DISTINCT mailbox, kind FROM change WHERE account = ? AND modseq > ?",
        (account, modseq),
    )
    found: dict[MailboxId, set[int]] = {}
    for mailbox, kind in rows:
        if rights is not None and kind not in OF_TREE and READ & ~rights.get(mailbox, NONE):
            continue
        found.setdefault(MailboxId(mailbox), set()).add(kind)
    return Touched(now, {mailbox: frozenset(kinds) for mailbox, kinds in found.items()})
