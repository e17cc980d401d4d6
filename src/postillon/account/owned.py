"""What an account owns beside its mail: how changes of it are kept and told (RFC 8620 section 5.2).

Identities, submissions and the like take the account's next MODSEQ and write a record into the same
change log as mail, in kinds of their own, so that one state speaks for all and push hears of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from postillon.account.changes import record
from postillon.account.counters import next_modseq
from postillon.account.errors import AccountNotFound
from postillon.account.ids import AccountId, ModSeq
from postillon.store.operation import Steps, Tx


class Happened(IntEnum):
    """Column `change.kind` from 20 on; `object` is what it happened to."""

    IDENTITY_CREATED = 20
    IDENTITY_CHANGED = 21
    IDENTITY_DELETED = 22
    SUBMISSION_CREATED = 23
    SUBMISSION_CHANGED = 24
    SUBMISSION_DELETED = 25
    VACATION_CHANGED = 26
    NOTICE_CREATED = 27
    NOTICE_DELETED = 28
    RULE_CREATED = 29
    RULE_CHANGED = 30
    RULE_DELETED = 31


@dataclass(frozen=True, slots=True)
class Sort:
    """A type of data: the kinds of its records. changed: None for what never changes."""

    created: Happened
    changed: Happened | None
    deleted: Happened


IDENTITIES = Sort(Happened.IDENTITY_CREATED, Happened.IDENTITY_CHANGED, Happened.IDENTITY_DELETED)
SUBMISSIONS = Sort(
    Happened.SUBMISSION_CREATED, Happened.SUBMISSION_CHANGED, Happened.SUBMISSION_DELETED
)
NOTICES = Sort(Happened.NOTICE_CREATED, None, Happened.NOTICE_DELETED)
RULES = Sort(Happened.RULE_CREATED, Happened.RULE_CHANGED, Happened.RULE_DELETED)


class CannotTell(Exception):
    """The records of so long ago are gone."""


@dataclass(frozen=True, slots=True)
class State:
    """Where an account stands: state strings are made of it."""

    epoch: int
    modseq: ModSeq


@dataclass(frozen=True, slots=True)
class Delta:
    """What became of a type of data, ids ascending. until: up to which MODSEQ this tells."""

    created: tuple[int, ...]
    updated: tuple[int, ...]
    destroyed: tuple[int, ...]
    until: ModSeq
    more: bool


def happened(tx: Tx, account: AccountId, what: Happened, items: Iterable[int]) -> Steps[ModSeq]:
    """Take the next MODSEQ for a change of these objects. Raises AccountNotFound."""
    modseq, _ = yield from next_modseq(account)
    yield from record(tx, account, modseq, [(int(what), 0, 0, item) for item in items])
    return modseq


def new_id(account: AccountId) -> Steps[int]:
    """Raises AccountNotFound."""
    rows = yield (
        "UPDATE account SET next_id = next_id + 1 WHERE account = ? RETURNING next_id - 1",
        (account,),
    )
    if not rows:
        raise AccountNotFound(account)
    number: int = rows[0][0]
    return number


def state(account: AccountId) -> Steps[State]:
    """Raises AccountNotFound."""
    rows = yield "SELECT epoch, modseq FROM account WHERE account = ?", (account,)
    if not rows:
        raise AccountNotFound(account)
    return State(rows[0][0], ModSeq(rows[0][1]))


def changes(account: AccountId, sort: Sort, since: int, most: int | None) -> Steps[Delta]:
    """What changed after a MODSEQ. most: objects told of; what has one MODSEQ is told together.

    Raises CannotTell where records of that time have been cut, or it lies ahead.
    """
    rows = yield "SELECT modseq, low_modseq FROM account WHERE account = ?", (account,)
    if not rows:
        raise AccountNotFound(account)
    now, low = rows[0]
    if not low <= since <= now:
        raise CannotTell(since)
    kinds = (int(sort.created), int(sort.changed or sort.created), int(sort.deleted))
    rows = yield (
        "SELECT modseq, kind, object FROM change WHERE account = ? AND modseq > ?"
        " AND kind IN (?,?,?) ORDER BY modseq, n",
        (account, since, *kinds),
    )
    return _delta(rows, sort, now, most)


def _delta(rows: Sequence[tuple[int, int, int]], sort: Sort, now: int, most: int | None) -> Delta:
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    until, more = now, False
    for modseq, kind, item in rows:
        if most is not None and item not in first and len(first) >= most:
            more = True
            break
        first.setdefault(item, kind)
        last[item] = kind
        until = modseq if most is not None else until
    born = {item for item, kind in first.items() if kind == sort.created}
    gone = {item for item, kind in last.items() if kind == sort.deleted}
    return Delta(
        tuple(sorted(born - gone)),
        tuple(sorted(set(first) - born - gone)),
        tuple(sorted(gone - born)),
        ModSeq(until if more else now),
        more,
    )
