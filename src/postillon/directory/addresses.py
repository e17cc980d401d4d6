"""Which local parts of our domains are taken, and by what: an account, a group, an alias.

An alias belongs to the administrator and has targets, ours or somebody else's. The local part "" is the
catch-all of its domain. Removing what an alias or a group points at removes the pointer too, and with
the last pointer the alias: no address leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from postillon.directory import domains
from postillon.directory.domains import TOPIC, Domain
from postillon.directory.errors import (
    AddressNotFound,
    AddressProtected,
    AddressTaken,
    BadName,
    TooMany,
)
from postillon.directory.names import CATCH_ALL, address_of, domain_name, new_address
from postillon.mail.address import Address, AddressError, parse_address
from postillon.store.operation import Row, Steps, Tx

MAX_TARGETS = 1_000  # of one alias or group; ours

ACCOUNT, GROUP, ALIAS = "account", "group", "alias"


class AddressEntry(msgspec.Struct, frozen=True, gc=False):
    """One row of the directory. `local` "" is the catch-all."""

    domain: str
    local: str
    kind: str  # ACCOUNT, GROUP, ALIAS
    principal: int | None  # for ACCOUNT and GROUP
    targets: tuple[Address, ...] = ()  # for ALIAS

    @property
    def text(self) -> str:
        """As it is given to `split_new` again."""
        return str(Address(self.local, self.domain)) if self.local else f"@{self.domain}"


class Removal(msgspec.Struct, frozen=True):
    """What went together with an address or a principal."""

    addresses: tuple[str, ...]  # of the principal, or the alias itself
    aliases: tuple[str, ...]  # that have lost their last target
    pointers: int  # targets and memberships that were dropped elsewhere


def stored(texts: Iterable[str]) -> tuple[Address, ...]:
    """Targets and members as they were kept; what an older version kept and is none is left out."""
    found = []
    for text in texts:
        try:
            found.append(parse_address(text))
        except AddressError:
            continue
    return tuple(found)


def split_new(text: str) -> Steps[tuple[Domain, str]]:
    """Domain and local part of an address to be given away; "@domain" is the catch-all.

    Raises BadName, or DomainNotFound.
    """
    text = text.strip()
    if text.startswith(("@", "*@")):
        return (yield from domains.require(domain_name(text.partition("@")[2]))), CATCH_ALL
    domain = yield from domains.require(address_of(text).domain)
    return domain, new_address(text, domain.separator).local


def split(text: str) -> Steps[tuple[Domain, str]]:
    """Domain and local part of an address that may exist. Raises BadName or DomainNotFound."""
    text = text.strip()
    if text.startswith(("@", "*@")):
        return (yield from domains.require(domain_name(text.partition("@")[2]))), CATCH_ALL
    address = address_of(text)
    return (yield from domains.require(address.domain)), address.local


def entry(domain: Domain, local: str) -> Steps[AddressEntry | None]:
    """The entry of exactly this local part, normalised."""
    rows = yield (
        "SELECT kind, principal FROM address WHERE domain = ? AND local = ?",
        (domain.id, local),
    )
    if not rows:
        return None
    kind, principal = rows[0]
    targets: tuple[Address, ...] = ()
    if kind == ALIAS:
        rows = yield (
            "SELECT target FROM alias_target WHERE domain = ? AND local = ? ORDER BY target",
            (domain.id, local),
        )
        targets = stored(target for (target,) in rows)
    return AddressEntry(domain.name, local, kind, principal, targets)


def of_domain(text: str | None = None, kind: str | None = None) -> Steps[list[AddressEntry]]:
    """Entries of a domain or (None) of all, by domain and local part. Raises DomainNotFound."""
    name = None if text is None else (yield from domains.require(domain_name(text))).name
    rows = yield (
        "SELECT d.name, a.local, a.kind, a.principal, a.domain FROM address a"
        " JOIN domain d ON d.domain = a.domain ORDER BY d.name, a.local",
        (),
    )
    targets: dict[tuple[int, str], list[str]] = {}
    pointers = yield ("SELECT domain, local, target FROM alias_target ORDER BY target", ())
    for number, local, target in pointers:
        targets.setdefault((number, local), []).append(target)
    return [
        AddressEntry(row[0], row[1], row[2], row[3], stored(targets.get((row[4], row[1]), ())))
        for row in rows
        if (name is None or row[0] == name) and (kind is None or row[2] == kind)
    ]


def of_principal(principal: int) -> Steps[list[AddressEntry]]:
    rows = yield (
        "SELECT d.name, a.local, a.kind, a.principal FROM address a"
        " JOIN domain d ON d.domain = a.domain WHERE a.principal = ? ORDER BY d.name, a.local",
        (principal,),
    )
    return [AddressEntry(*row) for row in rows]


def add(text: str, kind: str, principal: int | None) -> Steps[AddressEntry]:
    """Take an address. Raises BadName, DomainNotFound or AddressTaken."""
    domain, local = yield from split_new(text)
    taken = yield from entry(domain, local)
    if taken is not None:
        raise AddressTaken(taken.text, taken.kind)
    yield (
        "INSERT INTO address (domain, local, kind, principal) VALUES (?, ?, ?, ?)",
        (domain.id, local, kind, principal),
    )
    return AddressEntry(domain.name, local, kind, principal)


def set_alias(tx: Tx, text: str, targets: Sequence[str], *, replace: bool) -> Steps[AddressEntry]:
    """Make an alias, or (`replace`) give an existing one these targets.

    Raises BadName, DomainNotFound, TooMany; AddressTaken where it would be made, AddressNotFound
    where it would be changed.
    """
    checked = targets_of(text, targets)
    domain, local = yield from split(text)
    if replace:
        found = yield from entry(domain, local)
        if found is None or found.kind != ALIAS:
            raise AddressNotFound(text)
        yield (
            "DELETE FROM alias_target WHERE domain = ? AND local = ?",
            (domain.id, local),
        )
    else:
        found = yield from add(text, ALIAS, None)
    for target in checked:
        yield (
            "INSERT INTO alias_target (domain, local, target) VALUES (?, ?, ?)",
            (domain.id, local, str(target)),
        )
    tx.announce(TOPIC)
    return msgspec.structs.replace(found, targets=checked)


def targets_of(what: str, texts: Sequence[str]) -> tuple[Address, ...]:
    """Targets or members, each once, sorted. Raises BadName or TooMany."""
    checked = sorted({address_of(item) for item in texts}, key=str)
    if not checked:
        raise BadName(what, "it needs at least one address to lead to")
    if len(checked) > MAX_TARGETS:
        raise TooMany("addresses", len(checked), MAX_TARGETS)
    return tuple(checked)


def delete(tx: Tx, text: str) -> Steps[Removal]:
    """Remove an alias, or an additional address of an account or group.

    Raises BadName, DomainNotFound, AddressNotFound, or AddressProtected for a primary address.
    """
    domain, local = yield from split(text)
    found = yield from entry(domain, local)
    if found is None:
        raise AddressNotFound(text)
    if found.principal is not None:
        rows = yield (
            "SELECT 1 FROM principal WHERE principal = ? AND login = ?",
            (found.principal, found.text),
        )
        if rows:
            raise AddressProtected(found.text)
    removal = yield from erase([(domain.id, found)])
    tx.announce(TOPIC)
    return removal


def erase(gone: Sequence[tuple[int, AddressEntry]]) -> Steps[Removal]:
    """Remove entries, what points at them, and aliases that then lead nowhere."""
    removed = [item.text for _, item in gone]
    aliases: list[str] = []
    pointers = 0
    waiting = list(gone)
    while waiting:
        number, item = waiting.pop()
        yield ("DELETE FROM address WHERE domain = ? AND local = ?", (number, item.local))
        yield ("DELETE FROM alias_target WHERE domain = ? AND local = ?", (number, item.local))
        if not item.local:
            continue  # nothing can point at a catch-all
        rows = yield ("DELETE FROM group_member WHERE member = ? RETURNING principal", (item.text,))
        pointers += len(rows)
        rows = yield (
            "DELETE FROM alias_target WHERE target = ? RETURNING domain, local",
            (item.text,),
        )
        pointers += len(rows)
        for row in rows:
            empty = yield from _leads_nowhere(row)
            if empty is not None:
                aliases.append(empty.text)
                waiting.append((row[0], empty))
    return Removal(tuple(removed), tuple(aliases), pointers)


def _leads_nowhere(row: Row) -> Steps[AddressEntry | None]:
    rows = yield (
        "SELECT d.name, a.local, a.kind, a.principal FROM address a"
        " JOIN domain d ON d.domain = a.domain WHERE a.domain = ? AND a.local = ?"
        " AND NOT EXISTS (SELECT 1 FROM alias_target t"
        " WHERE t.domain = a.domain AND t.local = a.local)",
        (row[0], row[1]),
    )
    return AddressEntry(*rows[0]) if rows else None
