"""Changing the tree of mailboxes: create, rename, delete, subscribe.

What IMAP says about names is kept here for everybody (RFC 9051 sections 6.3.4 to 6.3.7):

- CREATE makes the mailboxes above too.
- DELETE of a mailbox with children removes its emails, and a `NAME_ONLY` mailbox (\\Noselect) holds the
  place until the last child is gone; deleting that one is refused while it has children.
- RENAME takes the children along and makes the mailboxes above. RENAME of INBOX moves its emails into a
  new mailbox; INBOX and its children stay.
- A new mailbox is shared as the one above it is; RENAME changes no grant.
- A subscription is to a name: it outlives the mailbox, and follows it when it is renamed.

A deleted mailbox disappears at once; its emails are removed in bounded steps (`sweep`), by whoever
deleted it and, after a crash, by the maintenance process. Until then they count against the quota.
"""

from __future__ import annotations

import msgspec

from postillon.account import grants, mailboxes, transfer
from postillon.account.changes import Kind, Record, record
from postillon.account.counters import next_modseq
from postillon.account.errors import (
    AccountNotFound,
    BadMailboxName,
    MailboxExists,
    MailboxHasChildren,
    MailboxNotFound,
    MailboxProtected,
    RoleTaken,
    TooManyMailboxes,
)
from postillon.account.ids import AccountId, MailboxId
from postillon.account.mailboxes import DOOMED, MAX_DEPTH, MAX_MAILBOXES, TOP, MailboxKind, Path
from postillon.account.ranges import EVERYTHING
from postillon.account.roles import INBOX_ID, Role
from postillon.store.operation import Row, Steps, Tx

MAX_SUBSCRIPTIONS = 10_000  # to names that no mailbox has, in one account; ours
SWEEP = 1_000  # emails removed in one operation

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(tuple[str, ...]).decode


def create(
    tx: Tx,
    account: AccountId,
    path: Path,
    role: Role | None = None,
    kind: MailboxKind = MailboxKind.MAIL,
) -> Steps[MailboxId]:
    """Make a mailbox, and those above it that are missing.

    Raises BadMailboxName, MailboxExists, RoleTaken, TooManyMailboxes or AccountNotFound.
    """
    path = mailboxes.check_path(path)
    if role is not None:
        holder = yield from mailboxes.of_role(account, role)
        if holder is not None:
            raise RoleTaken(role.value, holder)
    parent = yield from _superior(tx, account, path[:-1])
    there = yield from mailboxes.child(account, parent, path[-1])
    if there is not None:
        yield from _revive(tx, account, there, path, role)
        return there
    return (yield from _add(tx, account, parent, path, role, kind))


def rename(tx: Tx, account: AccountId, mailbox: MailboxId, path: Path) -> Steps[MailboxId]:
    """Give a mailbox another name or place. Returns its id; of INBOX, the new mailbox's.

    Raises MailboxNotFound, BadMailboxName (also below itself), MailboxExists or TooManyMailboxes.
    """
    path = mailboxes.check_path(path)
    old_parent, old_name = yield from _place_of(account, mailbox)
    there = yield from mailboxes.find(account, path)
    if there == mailbox and path[-1] == old_name:
        raise MailboxExists(path)
    if there is not None:
        raise MailboxExists(path)
    if mailbox == INBOX_ID:
        new = yield from create(tx, account, path)
        yield from transfer.move(tx, account, INBOX_ID, EVERYTHING, new)
        return new
    parent = yield from _superior(tx, account, path[:-1])
    at = parent
    while at > TOP:
        if at == mailbox:
            raise BadMailboxName(path, "a mailbox cannot be below itself")
        at, _ = yield from _place_of(account, at)
    yield from _check_depth(account, mailbox, path)
    modseq, _ = yield from next_modseq(account)
    yield (
        "UPDATE mailbox SET parent = ?, name = ?, changed = ? WHERE account = ? AND mailbox = ?",
        (parent, path[-1], modseq, account, mailbox),
    )
    yield from _take_subscription(account, mailbox, path)
    yield from record(tx, account, modseq, [(Kind.MAILBOX_CHANGED, mailbox, 0, mailbox)])
    yield from _tidy(tx, account, old_parent)
    return mailbox


def delete(tx: Tx, account: AccountId, mailbox: MailboxId) -> Steps[None]:
    """Make a mailbox disappear; `sweep` then removes what was in it.

    Raises MailboxNotFound, MailboxProtected for INBOX, or MailboxHasChildren for a NAME_ONLY one.
    """
    found = yield from mailboxes.one(account, mailbox)
    if mailbox == INBOX_ID:
        raise MailboxProtected(found.path)
    if found.has_children and found.kind is MailboxKind.NAME_ONLY:
        raise MailboxHasChildren(found.path)
    modseq, _ = yield from next_modseq(account)
    yield (
        "UPDATE mailbox SET parent = ?, name = ?, role = NULL, changed = ?"
        " WHERE account = ? AND mailbox = ?",
        (DOOMED, str(mailbox), modseq, account, mailbox),
    )
    lost = yield from grants.lost(account, mailbox)
    gone: Record = (Kind.MAILBOX_DELETED, mailbox, 0, mailbox)
    yield from record(tx, account, modseq, [gone, *lost])
    if found.subscribed:
        yield from _remember(account, found.path)
    if found.has_children:
        holder = yield from _add(tx, account, found.parent, found.path, None, MailboxKind.NAME_ONLY)
        yield from grants.hand_on(account, mailbox, holder)
        yield from _adopt(tx, account, mailbox, holder)
    else:
        yield from grants.forget(account, mailbox)
        yield from _tidy(tx, account, found.parent)


def _adopt(tx: Tx, account: AccountId, mailbox: MailboxId, holder: MailboxId) -> Steps[None]:
    """The children of a mailbox are those of another one from now on."""
    modseq, _ = yield from next_modseq(account)
    rows = yield (
        "UPDATE mailbox SET parent = ?, changed = ? WHERE account = ? AND parent = ?"
        " RETURNING mailbox",
        (holder, modseq, account, mailbox),
    )
    below = sorted(child for (child,) in rows)
    yield from record(
        tx, account, modseq, [(Kind.MAILBOX_CHANGED, child, 0, child) for child in below]
    )


def sweep(tx: Tx, account: AccountId, limit: int = SWEEP) -> Steps[bool]:
    """Remove some emails of deleted mailboxes. Returns whether there is more to do."""
    rows = yield (
        "SELECT mailbox FROM mailbox WHERE account = ? AND parent = ? ORDER BY mailbox LIMIT 1",
        (account, DOOMED),
    )
    if not rows:
        return False
    mailbox = rows[0][0]
    removed = yield from transfer.empty(tx, account, mailbox, limit)
    if removed < limit:
        yield ("DELETE FROM annotation WHERE account = ? AND mailbox = ?", (account, mailbox))
        yield ("DELETE FROM url_key WHERE account = ? AND mailbox = ?", (account, mailbox))
        yield ("DELETE FROM mailbox WHERE account = ? AND mailbox = ?", (account, mailbox))
    return True


def subscribe(tx: Tx, account: AccountId, path: Path, wanted: bool) -> Steps[None]:
    """Subscribe to a name, whether or not there is a mailbox of that name, or end that.

    Raises BadMailboxName, TooManyMailboxes or AccountNotFound.
    """
    if wanted:
        path = mailboxes.check_path(path)
    mailbox = yield from mailboxes.find(account, path)
    if mailbox is None:
        if wanted:
            yield from _remember(account, path)
        else:
            yield from _forget(account, path)
        return
    changed = yield (
        "UPDATE mailbox SET subscribed = ? WHERE account = ? AND mailbox = ? AND subscribed <> ?"
        " RETURNING mailbox",
        (int(wanted), account, mailbox, int(wanted)),
    )
    if changed:
        modseq, _ = yield from next_modseq(account)
        yield (
            "UPDATE mailbox SET changed = ? WHERE account = ? AND mailbox = ?",
            (modseq, account, mailbox),
        )
        yield from record(tx, account, modseq, [(Kind.MAILBOX_CHANGED, mailbox, 0, mailbox)])


def orphan_subscriptions(account: AccountId) -> Steps[list[Path]]:
    """Names subscribed to that no mailbox has, sorted."""
    rows = yield ("SELECT path FROM subscription WHERE account = ?", (account,))
    return sorted(_decode(text) for (text,) in rows)


def _superior(tx: Tx, account: AccountId, path: Path) -> Steps[int]:
    """The mailbox at a path, made with those above it where it is missing; TOP for ()."""
    at: int = TOP
    for depth, name in enumerate(path, 1):
        below = yield from mailboxes.child(account, at, name)
        if below is None:
            below = yield from _add(tx, account, at, path[:depth], None, MailboxKind.MAIL)
        at = below
    return at


def _add(
    tx: Tx, account: AccountId, parent: int, path: Path, role: Role | None, kind: MailboxKind
) -> Steps[MailboxId]:
    rows = yield (
        "SELECT a.epoch, count(m.mailbox) FROM account a LEFT JOIN mailbox m"
        " ON m.account = a.account WHERE a.account = ? GROUP BY a.epoch",
        (account,),
    )
    if not rows:
        raise AccountNotFound(account)
    epoch, count = rows[0]
    if count >= MAX_MAILBOXES:
        raise TooManyMailboxes(MAX_MAILBOXES)
    modseq, mailbox = yield from next_modseq(account, 1)
    yield from insert(account, MailboxId(mailbox), parent, path[-1], role, kind, epoch, modseq)
    yield from grants.inherit(account, parent, MailboxId(mailbox))
    yield from _take_subscription(account, MailboxId(mailbox), path)
    yield from record(tx, account, modseq, [(Kind.MAILBOX_CREATED, mailbox, 0, mailbox)])
    return MailboxId(mailbox)


def insert(
    account: AccountId,
    mailbox: MailboxId,
    parent: int,
    name: str,
    role: Role | None,
    kind: MailboxKind,
    epoch: int,
    modseq: int,
) -> Steps[None]:
    """The row of a new mailbox.

    Ids only grow within an account and the epoch (seconds) changes when it is restored, so no two
    mailboxes of one name ever have the same UIDVALIDITY (RFC 9051 section 2.3.1.1).
    """
    subscribed = role is not None
    yield (
        "INSERT INTO mailbox (account, mailbox, parent, name, kind, role, subscribed, uid_validity,"
        " uid_next, recent_uid, total, unseen, deleted, octets, modseq, changed, created)"
        " VALUES (?,?,?,?,?,?,?,?,1,1,0,0,0,0,?,?,?)",
        (
            account, mailbox, parent, name, int(kind), role.value if role else None,
            int(subscribed), (epoch + mailbox) % 2**32 or 1, modseq, modseq, modseq,
        ),
    )  # fmt: skip


def _revive(
    tx: Tx, account: AccountId, mailbox: MailboxId, path: Path, role: Role | None
) -> Steps[None]:
    """CREATE of a name that was only kept for its children. Raises MailboxExists for any other."""
    rows = yield (
        "UPDATE mailbox SET kind = 0, role = ? WHERE account = ? AND mailbox = ? AND kind = ?"
        " RETURNING mailbox",
        (role.value if role else None, account, mailbox, int(MailboxKind.NAME_ONLY)),
    )
    if not rows:
        raise MailboxExists(path)
    modseq, _ = yield from next_modseq(account)
    yield (
        "UPDATE mailbox SET changed = ?, modseq = ? WHERE account = ? AND mailbox = ?",
        (modseq, modseq, account, mailbox),
    )
    yield from record(tx, account, modseq, [(Kind.MAILBOX_CHANGED, mailbox, 0, mailbox)])


def _place_of(account: AccountId, mailbox: int) -> Steps[tuple[int, str]]:
    rows: list[Row] = yield (
        "SELECT parent, name FROM mailbox WHERE account = ? AND mailbox = ? AND parent >= 0",
        (account, mailbox),
    )
    if not rows:
        raise MailboxNotFound(mailbox)
    return rows[0][0], rows[0][1]


def _check_depth(account: AccountId, mailbox: MailboxId, path: Path) -> Steps[None]:
    """Raise BadMailboxName if the deepest child would come to lie too deep."""
    depth = len(path)
    level: list[int] = [mailbox]
    everything = yield ("SELECT mailbox, parent FROM mailbox WHERE account = ?", (account,))
    children: dict[int, list[int]] = {}
    for below, parent in everything:
        children.setdefault(parent, []).append(below)
    while level := [below for at in level for below in children.get(at, ())]:
        depth += 1
        if depth > MAX_DEPTH:
            raise BadMailboxName(path, f"its children would lie deeper than {MAX_DEPTH} names")


def _tidy(tx: Tx, account: AccountId, mailbox: int) -> Steps[None]:
    """Remove names that were only kept for children, when the last of these has gone."""
    while mailbox > TOP:
        rows = yield (
            "DELETE FROM mailbox WHERE account = ? AND mailbox = ? AND kind = ? AND NOT EXISTS"
            " (SELECT 1 FROM mailbox c WHERE c.account = mailbox.account"
            " AND c.parent = mailbox.mailbox) RETURNING parent",
            (account, mailbox, int(MailboxKind.NAME_ONLY)),
        )
        if not rows:
            return
        lost = yield from grants.lost(account, MailboxId(mailbox))
        yield from grants.forget(account, MailboxId(mailbox))
        modseq, _ = yield from next_modseq(account)
        gone: Record = (Kind.MAILBOX_DELETED, mailbox, 0, mailbox)
        yield from record(tx, account, modseq, [gone, *lost])
        mailbox = rows[0][0]


def _remember(account: AccountId, path: Path) -> Steps[None]:
    rows = yield ("SELECT count(*) FROM subscription WHERE account = ?", (account,))
    if rows[0][0] >= MAX_SUBSCRIPTIONS:
        raise TooManyMailboxes(MAX_SUBSCRIPTIONS)
    yield (
        "INSERT INTO subscription (account, path) SELECT account, ? FROM account WHERE account = ?"
        " ON CONFLICT DO NOTHING",
        (_encode(path).decode(), account),
    )


def _forget(account: AccountId, path: Path) -> Steps[bool]:
    rows = yield (
        "DELETE FROM subscription WHERE account = ? AND path = ? RETURNING path",
        (account, _encode(path).decode()),
    )
    return bool(rows)


def _take_subscription(account: AccountId, mailbox: MailboxId, path: Path) -> Steps[None]:
    """A mailbox that takes a name takes the subscription to that name too."""
    known = yield from _forget(account, path)
    if known:
        yield (
            "UPDATE mailbox SET subscribed = 1 WHERE account = ? AND mailbox = ?",
            (account, mailbox),
        )
