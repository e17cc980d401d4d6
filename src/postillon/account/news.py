"""Whether something has changed, and of what kind: what push tells, before anybody asks what it was."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.account import grants
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId, MailboxId
from postillon.account.owned import Happened
from postillon.account.rights import Right
from postillon.store.operation import Steps

READ = Right.LOOKUP | Right.READ


class News(msgspec.Struct, frozen=True):
    """Where an account stands. kinds: of the changes since the moment that was asked for."""

    epoch: int
    modseq: int
    kinds: frozenset[int]


def since(account: AccountId, modseq: int | None, actor: int | None) -> Steps[News]:
    """modseq: None asks for no changes. actor: who sees them, None for the owner.

    Raises AccountNotFound, also where the actor sees nothing any more.
    """
    if actor is not None and not (yield from grants.anywhere(account, actor, Right.LOOKUP)):
        raise AccountNotFound(account)
    rows = yield "SELECT epoch, modseq FROM account WHERE account = ?", (account,)
    if not rows:
        raise AccountNotFound(account)
    epoch, now = rows[0]
    if modseq is None or modseq >= now:
        return News(epoch, now, frozenset())
    found = yield (
        "SELECT DISTINCT kind, mailbox FROM change WHERE account = ? AND modseq > ?",
        (account, modseq),
    )
    return News(epoch, now, (yield from _seen(account, actor, [(row[0], row[1]) for row in found])))


def _seen(
    account: AccountId, actor: int | None, found: Sequence[tuple[int, int]]
) -> Steps[frozenset[int]]:
    """Without what happens in mailboxes that the actor may not read, or beside mail."""
    if actor is None:
        return frozenset(kind for kind, _ in found)
    found = [(kind, mailbox) for kind, mailbox in found if kind < min(Happened)]
    readable: dict[int, bool] = {}
    for _, mailbox in found:
        if mailbox not in readable:
            rights = yield from grants.held(account, MailboxId(mailbox), actor)
            readable[mailbox] = not READ & ~rights
    return frozenset(kind for kind, mailbox in found if readable[mailbox])
