"""The domains whose mail this server answers for."""

from __future__ import annotations

import msgspec

from postillon.directory.errors import BadName, DomainExists, DomainInUse, DomainNotFound
from postillon.directory.names import SEPARATORS, domain_name
from postillon.store.counters import next_id
from postillon.store.operation import Row, Steps, Tx

TOPIC = "directory"  # announced with every change of the directory
SHOWN = 5  # addresses named in DomainInUse


class Domain(msgspec.Struct, frozen=True, gc=False):
    """`split`: what is unknown here travels on to `next_hop`, or by DNS where that is None."""

    id: int
    name: str  # A-labels
    enabled: bool
    separator: str  # of sub-addresses; "" when there are none
    split: bool
    next_hop: str | None
    created_at: int  # ms


_COLUMNS = "domain, name, enabled, separator, split, next_hop, created_at"


def _domain(row: Row) -> Domain:
    return Domain(row[0], row[1], bool(row[2]), row[3], bool(row[4]), row[5], row[6])


def get(name: str) -> Steps[Domain | None]:
    """name: as A-labels in lower case."""
    rows = yield (f"SELECT {_COLUMNS} FROM domain WHERE name = ?", (name,))  # noqa: S608
    return _domain(rows[0]) if rows else None


def require(name: str) -> Steps[Domain]:
    """Raises DomainNotFound."""
    domain = yield from get(name)
    if domain is None:
        raise DomainNotFound(name)
    return domain


def every() -> Steps[list[Domain]]:
    rows = yield (f"SELECT {_COLUMNS} FROM domain ORDER BY name", ())  # noqa: S608
    return [_domain(row) for row in rows]


def create(
    tx: Tx, text: str, separator: str = "+", split: bool = False, next_hop: str | None = None
) -> Steps[Domain]:
    """Raises BadName or DomainExists."""
    name = domain_name(text)
    _check_separator(separator)
    if (yield from get(name)) is not None:
        raise DomainExists(name)
    number = yield from next_id("domain")
    yield (
        "INSERT INTO domain (domain, name, separator, split, next_hop, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (number, name, separator, int(split), next_hop, tx.now),
    )
    tx.announce(TOPIC)
    return Domain(number, name, True, separator, split, next_hop, tx.now)


def update(
    tx: Tx,
    text: str,
    enabled: bool | None = None,
    separator: str | None = None,
    split: bool | None = None,
    next_hop: str | None = None,
) -> Steps[Domain]:
    """Change what is given; `next_hop` "" removes it. Raises BadName or DomainNotFound."""
    old = yield from require(domain_name(text))
    if separator is not None:
        _check_separator(separator)
    new = msgspec.structs.replace(
        old,
        enabled=old.enabled if enabled is None else enabled,
        separator=old.separator if separator is None else separator,
        split=old.split if split is None else split,
        next_hop=old.next_hop if next_hop is None else next_hop or None,
    )
    yield (
        "UPDATE domain SET enabled = ?, separator = ?, split = ?, next_hop = ? WHERE domain = ?",
        (int(new.enabled), new.separator, int(new.split), new.next_hop, new.id),
    )
    tx.announce(TOPIC)
    return new


def delete(tx: Tx, text: str) -> Steps[None]:
    """Remove a domain that has no addresses any more.

    Raises BadName, DomainNotFound, or DomainInUse with some of the addresses.
    """
    domain = yield from require(domain_name(text))
    rows = yield (
        "SELECT local, (SELECT count(*) FROM address WHERE domain = ?) FROM address"
        " WHERE domain = ? ORDER BY local LIMIT ?",
        (domain.id, domain.id, SHOWN),
    )
    if rows:
        raise DomainInUse(domain.name, rows[0][1], [f"{row[0]}@{domain.name}" for row in rows])
    yield ("DELETE FROM domain WHERE domain = ?", (domain.id,))
    tx.announce(TOPIC)


def _check_separator(separator: str) -> None:
    if separator and (len(separator) != 1 or separator not in SEPARATORS):
        raise BadName(separator, f"a separator is one of {SEPARATORS}, or nothing")
