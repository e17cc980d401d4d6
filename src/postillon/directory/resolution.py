"""Who is this address? One step of the answer: aliases and groups are followed by `route`.

Order: the exact local part; a sub-address; the catch-all; postmaster and abuse, which always answer
(RFC 5321 section 4.5.1, RFC 2142); then, in a split domain, the rest travels on.
"""

from __future__ import annotations

import msgspec

from postillon.directory import addresses, domains, principals
from postillon.directory.addresses import ACCOUNT, ALIAS, AddressEntry
from postillon.directory.domains import Domain
from postillon.directory.names import ALWAYS, CATCH_ALL, detail_of
from postillon.mail.address import Address
from postillon.store.operation import Steps

MAX_FOLLOWED = 1_000  # addresses looked at when ownership is asked for; ours


class ToAccount(msgspec.Struct, frozen=True):
    account: int
    address: Address  # the account's primary one
    detail: str  # of the sub-address, "" when there is none


class ToGroup(msgspec.Struct, frozen=True):
    principal: int
    members: tuple[Address, ...]  # may be empty


class ToAlias(msgspec.Struct, frozen=True):
    targets: tuple[Address, ...]


class ToNextHop(msgspec.Struct, frozen=True):
    next_hop: str  # "" when DNS decides


class UnknownUser(msgspec.Struct, frozen=True):
    """The domain is ours and nobody answers."""

    disabled: bool = False  # somebody would, but is switched off: 5.2.1 rather than 5.1.1


class ForeignDomain(msgspec.Struct, frozen=True):
    """Not ours: a matter of relaying."""


Resolution = ToAccount | ToGroup | ToAlias | ToNextHop | UnknownUser | ForeignDomain

FOREIGN = ForeignDomain()
UNKNOWN = UnknownUser()
DISABLED = UnknownUser(disabled=True)


def resolve(address: Address) -> Steps[Resolution]:
    local, name = address.key
    owner = yield from principals.at(local, name)  # nearly always: the rest is for the others
    if owner is not None:
        return ToAccount(owner.id, owner.address, "")
    domain = yield from domains.get(name)
    if domain is None:
        return FOREIGN
    if not domain.enabled:
        return DISABLED
    entry, detail = yield from _entry(domain, local)
    if entry is not None:
        return (yield from _lead(entry, detail))
    base = detail_of(local, domain.separator)
    if local in ALWAYS or (base is not None and base[0] in ALWAYS):
        administrator = yield from principals.administrator(domain.name)
        if administrator is not None:
            return ToAccount(administrator.id, administrator.address, "")
    if domain.split:
        return ToNextHop(domain.next_hop or "")
    return UNKNOWN


def owns(principal: int, address: Address) -> Steps[bool]:
    """Whether mail to this address comes to the account, itself or by aliases; groups do not count."""
    waiting, seen = [address], {address}
    while waiting and len(seen) <= MAX_FOLLOWED:
        found = yield from resolve(waiting.pop())
        if isinstance(found, ToAccount) and found.account == principal:
            return True
        if isinstance(found, ToAlias):
            new = [target for target in found.targets if target not in seen]
            waiting += new
            seen.update(new)
    return False


def _entry(domain: Domain, local: str) -> Steps[tuple[AddressEntry | None, str]]:
    """The entry that answers for a local part, and the detail."""
    entry = yield from addresses.entry(domain, local)
    if entry is not None:
        return entry, ""
    base = detail_of(local, domain.separator)
    if base is not None:
        entry = yield from addresses.entry(domain, base[0])
        if entry is not None:
            return entry, base[1]
    entry = yield from addresses.entry(domain, CATCH_ALL)
    return entry, ""


def _lead(entry: AddressEntry, detail: str) -> Steps[Resolution]:
    if entry.kind == ALIAS:
        return ToAlias(entry.targets)
    principal = yield from principals.get(entry.principal or 0)
    if principal is None:
        return UNKNOWN
    if not principal.enabled:
        return DISABLED
    if entry.kind == ACCOUNT:
        return ToAccount(principal.id, principal.address, detail)
    members = yield from principals.members(principal.id)
    return ToGroup(principal.id, members)
