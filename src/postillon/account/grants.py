"""Who may do what in the mailboxes of others: keeping it, and asking it before each step.

A right may be granted to a person, to a group or to anyone who has logged in; what one has is all of it
together. A new mailbox begins with the grants of the one above it. Groups are looked at anew with every
question, in its own transaction: who has left one has lost what it had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from postillon.account import mailboxes
from postillon.account.changes import Kind, Record, record
from postillon.account.counters import next_modseq
from postillon.account.errors import MailboxNotFound, NotAllowed, OwnersRights, TooManyGrants
from postillon.account.flags import FlagMode
from postillon.account.ids import AccountId, EmailId, MailboxId
from postillon.account.mailboxes import TOP, Mailbox, Path
from postillon.account.rights import NONE, Right
from postillon.directory import principals
from postillon.directory.errors import PrincipalNotFound
from postillon.directory.principals import Principal, PrincipalKind
from postillon.store.operation import Steps, T, Tx

ANYONE = 0  # `granted.grantee`
NEW = MailboxId(TOP)  # `granted.mailbox` of what a new one at the top begins with
MAX_GRANTS = 200  # at one mailbox; ours
MAX_OWNERS = 500  # accounts whose mailboxes are listed for somebody; ours


class Grant(msgspec.Struct, frozen=True):
    """grantee: a principal, or ANYONE."""

    grantee: int
    rights: Right


# Asking -------------------------------------------------------------------------------------------


def held(account: AccountId, mailbox: MailboxId, actor: int) -> Steps[Right]:
    """The rights of somebody who is not the owner."""
    rows = yield (
        "SELECT grantee, rights FROM granted WHERE account = ? AND mailbox = ?",
        (account, mailbox),
    )
    who = yield from names(actor, (row[0] for row in rows))
    return _together(row[1] for row in rows if row[0] in who)


def require(account: AccountId, mailbox: MailboxId, actor: int, wanted: Right) -> Steps[Right]:
    """What the actor may do in a mailbox, all that is wanted among it.

    Raises MailboxNotFound where LOOKUP is missing, NotAllowed where another right is.
    """
    have = NONE if mailbox == NEW else (yield from held(account, mailbox, actor))
    if Right.LOOKUP not in have:
        raise MailboxNotFound(mailbox)
    if wanted & ~have:
        raise NotAllowed(mailbox)
    return have


def checked(
    account: AccountId, mailbox: MailboxId, actor: int, wanted: Right, steps: Steps[T]
) -> Steps[T]:
    """Take the steps if the actor may. Raises as `require`."""
    yield from require(account, mailbox, actor, wanted)
    return (yield from steps)


def require_place(account: AccountId, path: Path, actor: int) -> Steps[None]:
    """Whether the actor may make a mailbox at a path: CREATE on the last that is there above it.

    Raises as `require`; NotAllowed at the top of an account in which the actor sees anything.
    """
    at: int = TOP
    for name in mailboxes.check_path(path)[:-1]:
        below = yield from mailboxes.child(account, at, name)
        if below is None:
            break
        at = below
    if at != TOP:
        yield from require(account, MailboxId(at), actor, Right.CREATE)
        return
    have = yield from held(account, NEW, actor)
    if not have & Right.LOOKUP or not have & Right.CREATE:
        seen = yield from anywhere(account, actor, Right.LOOKUP)
        raise NotAllowed(NEW) if seen else MailboxNotFound(path)


def require_email(account: AccountId, email: EmailId, actor: int) -> Steps[None]:
    """Raises MailboxNotFound unless the email is in a mailbox that the actor may read."""
    rows = yield (
        "SELECT DISTINCT mailbox FROM placement WHERE account = ? AND email = ?",
        (account, email),
    )
    for (mailbox,) in rows:
        have = yield from held(account, mailbox, actor)
        if not ~have & (Right.LOOKUP | Right.READ):
            return
    raise MailboxNotFound(email)


def anywhere(account: AccountId, actor: int, wanted: Right) -> Steps[bool]:
    """Whether the actor has these rights in any mailbox of the account."""
    wanted |= Right.LOOKUP
    return any(not wanted & ~have for have in (yield from by_mailbox(account, actor)).values())


def shown(account: AccountId, actor: int, found: Iterable[Mailbox]) -> Steps[list[Mailbox]]:
    """Those of an account's mailboxes that the actor sees, as the actor sees them."""
    rights = yield from by_mailbox(account, actor)
    seen = [item for item in found if rights.get(item.id, NONE) & Right.LOOKUP and not item.hidden]
    parents = {item.path[:-1] for item in seen}
    return [_as_seen(item, rights[item.id], item.path in parents) for item in seen]


def _as_seen(item: Mailbox, rights: Right, has_children: bool) -> Mailbox:
    """Uses and subscriptions are the owner's own; without READ the counters tell nothing."""
    seen = msgspec.structs.replace(
        item, role=None, subscribed=False, has_children=has_children, rights=rights
    )
    if rights & Right.READ:
        return seen
    return msgspec.structs.replace(
        seen, uid_validity=0, uid_next=1, recent_uid=1, total=0, unseen=0, deleted=0, octets=0,
        modseq=0,
    )  # fmt: skip


def shared_with(actor: int) -> Steps[list[Principal]]:
    """Whose mailboxes somebody sees, by login; their own account is not among them.

    Of more than MAX_OWNERS those who have been here longest.
    """
    groups = yield from principals.groups_of(actor)
    who = sorted({ANYONE, actor, *groups})
    marks = ",".join("?" * len(who))
    rows = yield (
        "SELECT DISTINCT account FROM granted"  # noqa: S608
        f" WHERE grantee IN ({marks}) AND mailbox <> ? AND account <> ? ORDER BY account LIMIT ?",
        (*who, NEW, actor, MAX_OWNERS),
    )
    found = []
    for (account,) in rows:
        owner = yield from principals.get(account)
        if owner is not None and (yield from anywhere(account, actor, Right.LOOKUP)):
            found.append(owner)
    return sorted(found, key=lambda owner: owner.login)


def by_mailbox(account: AccountId, actor: int) -> Steps[dict[int, Right]]:
    """The rights of somebody who is not the owner, in every mailbox where there are any."""
    rows = yield (
        "SELECT mailbox, grantee, rights FROM granted WHERE account = ? AND mailbox <> ?",
        (account, NEW),
    )
    who = yield from names(actor, (row[1] for row in rows))
    found: dict[int, Right] = {}
    for mailbox, grantee, rights in rows:
        if grantee in who:
            found[mailbox] = found.get(mailbox, NONE) | Right(rights)
    return found


def names(actor: int, grantees: Iterable[int]) -> Steps[set[int]]:
    """All that the actor is meant by. Groups are only asked about where one might be."""
    if set(grantees) <= {ANYONE, actor}:
        return {ANYONE, actor}
    groups = yield from principals.groups_of(actor)
    return {ANYONE, actor, *groups}


def _together(rights: Iterable[int]) -> Right:
    found = NONE
    for some in rights:
        found |= Right(some)
    return found


# Keeping ------------------------------------------------------------------------------------------


def at(account: AccountId, mailbox: MailboxId) -> Steps[list[Grant]]:
    """The grants at a mailbox, by grantee."""
    rows = yield (
        "SELECT grantee, rights FROM granted WHERE account = ? AND mailbox = ? ORDER BY grantee",
        (account, mailbox),
    )
    return [Grant(grantee, Right(rights)) for grantee, rights in rows]


def every(account: AccountId) -> Steps[list[tuple[int, int, Right]]]:
    """What is granted in an account: (mailbox, grantee, rights), without what awaits new ones."""
    rows = yield (
        "SELECT mailbox, grantee, rights FROM granted WHERE account = ? AND mailbox <> ?"
        " ORDER BY mailbox, grantee",
        (account, NEW),
    )
    return [(mailbox, grantee, Right(rights)) for mailbox, grantee, rights in rows]


def change(
    tx: Tx,
    account: AccountId,
    places: Sequence[MailboxId],
    grantee: int,
    rights: Right,
    mode: FlagMode = FlagMode.REPLACE,
) -> Steps[None]:
    """Give somebody rights, or take them away, at each of these places; NEW may be among them.

    Raises MailboxNotFound, OwnersRights, TooManyGrants, or PrincipalNotFound for who can have none.
    """
    yield from _check_grantee(account, grantee)
    turned: list[MailboxId] = []
    for mailbox in places:
        there = {item.grantee: item.rights for item in (yield from at(account, mailbox))}
        old = there.get(grantee, NONE)
        new = rights
        if mode is not FlagMode.REPLACE:
            new = old | rights if mode is FlagMode.ADD else old & ~rights
        if mailbox != NEW:
            yield from mailboxes.one(account, mailbox)
        if new == old:
            continue
        turned.append(mailbox)
        if not new:
            yield (
                "DELETE FROM granted WHERE account = ? AND mailbox = ? AND grantee = ?",
                (account, mailbox, grantee),
            )
            continue
        if grantee not in there and len(there) >= MAX_GRANTS:
            raise TooManyGrants(MAX_GRANTS)
        yield (
            "INSERT INTO granted (account, mailbox, grantee, rights) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (account, mailbox, grantee) DO UPDATE SET rights = excluded.rights",
            (account, mailbox, grantee, int(new)),
        )
    records = [(int(Kind.GRANTED), mailbox, 0, grantee) for mailbox in turned if mailbox != NEW]
    if records:
        modseq, _ = yield from next_modseq(account)
        yield from record(tx, account, modseq, records)


def _check_grantee(account: AccountId, grantee: int) -> Steps[None]:
    if grantee == account:
        raise OwnersRights(account)
    if grantee == ANYONE:
        return
    who = yield from principals.get(grantee)
    if who is None or who.kind is PrincipalKind.SHARED:  # nobody logs in to a shared account
        raise PrincipalNotFound(grantee if who is None else who.login)


def inherit(account: AccountId, parent: int, mailbox: MailboxId) -> Steps[None]:
    """A new mailbox begins with what is granted at the one above it."""
    yield (
        "INSERT INTO granted (account, mailbox, grantee, rights)"
        " SELECT account, CAST(? AS bigint), grantee, rights FROM granted"
        " WHERE account = ? AND mailbox = ?",
        (mailbox, account, parent),
    )


def lost(account: AccountId, mailbox: MailboxId) -> Steps[list[Record]]:
    """What the log says of the grants at a mailbox that is about to go."""
    there = yield from at(account, mailbox)
    return [(Kind.GRANTED, mailbox, 0, one.grantee, int(one.rights)) for one in there]


def forget(account: AccountId, mailbox: MailboxId) -> Steps[None]:
    """Nothing is granted at a mailbox any more."""
    yield ("DELETE FROM granted WHERE account = ? AND mailbox = ?", (account, mailbox))


def hand_on(account: AccountId, mailbox: MailboxId, other: MailboxId) -> Steps[None]:
    """What is granted at a mailbox is granted at another one instead."""
    yield from forget(account, other)
    yield (
        "UPDATE granted SET mailbox = ? WHERE account = ? AND mailbox = ?",
        (other, account, mailbox),
    )
