"""What a person is told when somebody gives or takes them rights in a mailbox (RFC 9670 section 3).

Only of what is granted to the person: what a group or everybody is given would fill too many accounts.
Of one mailbox there is at most one notice: a further change takes the place of the one before, and
nothing is told of what has become as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from postillon.account import grants, mailboxes, owned
from postillon.account.ids import AccountId, MailboxId
from postillon.account.owned import Happened
from postillon.account.rights import NONE, Right
from postillon.directory import principals
from postillon.directory.principals import PrincipalKind
from postillon.store.operation import Row, Steps, Tx

MAX_NOTICES = 500  # of one account; then the oldest goes
KEPT_MS = 90 * 86_400_000
_COLUMNS = (
    "n.notice, n.at, p.principal, n.by_name, n.by_email, n.owner, n.mailbox, n.name, n.old_rights,"
    " n.new_rights"
)
Change = tuple[Right, Right]  # what somebody had, and has now


class Notice(msgspec.Struct, frozen=True):
    """at: ms. by: who changed it, None once that principal is gone. Rights: all there are together."""

    id: int
    at: int
    by: int | None
    by_name: str
    by_email: str
    owner: int
    mailbox: int
    name: str
    old: Right
    new: Right


def every(account: AccountId) -> Steps[list[Notice]]:
    """By id: the oldest first."""
    rows = yield (
        f"SELECT {_COLUMNS} FROM share_notice n LEFT JOIN principal p ON p.principal = n.changed_by"  # noqa: S608
        " WHERE n.account = ? ORDER BY n.notice",
        (account,),
    )
    return [_notice(row) for row in rows]


def telling(
    tx: Tx,
    account: AccountId,
    actor: int | None,
    places: Sequence[MailboxId],
    grantee: int,
    steps: Steps[None],
) -> Steps[None]:
    """Take the steps that change what is granted at these places, and tell whom it is granted.

    actor: who does it, None for the owner. Raises what the steps raise.
    """
    person = yield from principals.get(grantee)
    here = yield "SELECT 1 FROM account WHERE account = ?", (grantee,)
    if person is None or person.kind is not PrincipalKind.PERSON or not here or actor == grantee:
        yield from steps
        return
    before = yield from grants.by_mailbox(account, grantee)
    yield from steps
    after = yield from grants.by_mailbox(account, grantee)
    rights = {place: (_seen(before, place), _seen(after, place)) for place in places}
    changed = {place: (old, new) for place, (old, new) in rights.items() if old != new}
    if changed:
        by = account if actor is None else actor
        yield from _tell(tx, AccountId(grantee), by, account, changed)


def _seen(rights: Mapping[int, Right], mailbox: MailboxId) -> Right:
    """Without LOOKUP the mailbox is not there, whatever else is granted."""
    found = rights.get(mailbox, NONE)
    return found if Right.LOOKUP in found else NONE


def _tell(
    tx: Tx, to: AccountId, by: int, owner: AccountId, changed: Mapping[MailboxId, Change]
) -> Steps[None]:
    there = yield from every(to)
    earlier = {item.mailbox: item for item in there if item.owner == owner}
    who = yield from principals.get(by)
    email = "" if who is None else who.login
    name = email if who is None else who.name or email
    new: list[tuple[Any, ...]] = []
    for place, (old, now) in changed.items():
        if place in earlier:
            old = earlier[place].old
        if old != now and len(new) < MAX_NOTICES:
            number = yield from owned.new_id(to)
            mailbox = yield from mailboxes.one(owner, place)
            new.append((to, number, tx.now, by, name, email, owner, place, mailbox.name, old, now))
    replaced = [earlier[place].id for place in changed if place in earlier]
    kept = [item for item in there if item.id not in replaced]
    too_many = len(kept) + len(new) - MAX_NOTICES
    gone = [item.id for n, item in enumerate(kept) if n < too_many or item.at <= tx.now - KEPT_MS]
    yield from remove(tx, to, [*replaced, *gone])
    for row in new:
        yield (
            "INSERT INTO share_notice (account, notice, at, changed_by, by_name, by_email, owner,"
            " mailbox, name, old_rights, new_rights) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
            row,
        )
    if new:
        yield from owned.happened(tx, to, Happened.NOTICE_CREATED, [row[1] for row in new])


def remove(tx: Tx, account: AccountId, notices: Iterable[int]) -> Steps[list[int]]:
    """Returns those that were there."""
    gone = []
    for number in notices:
        rows = yield (
            "DELETE FROM share_notice WHERE account = ? AND notice = ? RETURNING notice",
            (account, number),
        )
        gone += [row[0] for row in rows]
    if gone:
        yield from owned.happened(tx, account, Happened.NOTICE_DELETED, gone)
    return gone


def expired(account: AccountId, now: int) -> Steps[list[int]]:
    """Those whose time is over."""
    rows = yield (
        "SELECT notice FROM share_notice WHERE account = ? AND at <= ? ORDER BY notice",
        (account, now - KEPT_MS),
    )
    return [row[0] for row in rows]


def _notice(row: Row) -> Notice:
    number, at, by, by_name, by_email, owner, mailbox, name, old, new = row
    return Notice(number, at, by, by_name, by_email, owner, mailbox, name, Right(old), Right(new))
