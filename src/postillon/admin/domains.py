"""What an administrator does with domains."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from postillon.admin.audit import audited
from postillon.admin.desk import Desk
from postillon.admin.errors import refusals
from postillon.directory import addresses, domains, principals
from postillon.directory.addresses import ACCOUNT, ALIAS, GROUP, AddressEntry
from postillon.directory.domains import Domain
from postillon.directory.names import CATCH_ALL, domain_name
from postillon.mail.address import unicode_domain
from postillon.route.hop import parse_next_hop
from postillon.store.operation import Steps, Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainView:
    """A domain as it is shown."""

    name: str
    unicode: str
    enabled: bool
    separator: str  # "" when there are no sub-addresses
    catch_all: tuple[str, ...]  # who gets mail to unknown addresses; empty: nobody
    split: bool
    next_hop: str | None
    accounts: int  # addresses of each kind
    aliases: int
    groups: int
    created_at: int  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainChange:
    """None leaves a thing as it is; "" removes next hop and catch-all and turns separators off."""

    enabled: bool | None = None
    separator: str | None = None
    catch_all: str | None = None  # an account's login, or any other address
    split: bool | None = None
    next_hop: str | None = None


async def every(desk: Desk) -> list[DomainView]:
    """By name."""
    return await desk.store.query(_every())


async def show(desk: Desk, name: str) -> DomainView:
    """Raises Refused."""
    async with refusals(desk):
        return await desk.store.query(_view_of(name))


@audited("domain.create", "name")
async def create(desk: Desk, name: str, change: DomainChange) -> DomainView:
    """Raises Refused."""

    def operation(tx: Tx) -> Steps[DomainView]:
        hop = _hop(change.next_hop)
        separator = "+" if change.separator is None else change.separator
        made = yield from domains.create(tx, name, separator, bool(change.split), hop or None)
        if change.enabled is False:
            yield from domains.update(tx, made.name, enabled=False)
        if change.catch_all:
            yield from _set_catch_all(tx, made, change.catch_all)
        return (yield from _view_of(made.name))

    async with refusals(desk):
        return await desk.store.write(operation)


@audited("domain.change", "name")
async def change(desk: Desk, name: str, wanted: DomainChange) -> DomainView:
    """Raises Refused."""

    def operation(tx: Tx) -> Steps[DomainView]:
        hop = _hop(wanted.next_hop)
        domain = yield from domains.update(
            tx, name, wanted.enabled, wanted.separator, wanted.split, hop
        )
        if wanted.catch_all is not None:
            yield from _set_catch_all(tx, domain, wanted.catch_all)
        return (yield from _view_of(domain.name))

    async with refusals(desk):
        return await desk.store.write(operation)


@audited("domain.remove", "name")
async def remove(desk: Desk, name: str) -> None:
    """Only while nothing has an address in it. Raises Refused."""
    async with refusals(desk):
        await desk.directory.delete_domain(name)


def _hop(text: str | None) -> str | None:
    """In its one spelling. Raises HopError."""
    return str(parse_next_hop(text)) if text else text


def _set_catch_all(tx: Tx, domain: Domain, target: str) -> Steps[None]:
    present = yield from addresses.entry(domain, CATCH_ALL)
    text = f"@{domain.name}"
    if present is not None:
        yield from addresses.delete(tx, text)
    if not target:
        return
    owner = yield from principals.by_login(target)
    if owner is not None:
        yield from principals.add_address(tx, owner.login, text)
    else:
        yield from addresses.set_alias(tx, text, [target], replace=False)


def _every() -> Steps[list[DomainView]]:
    found = yield from domains.every()
    views = []
    for domain in found:
        view = yield from _view(domain)
        views.append(view)
    return views


def _view_of(text: str) -> Steps[DomainView]:
    domain = yield from domains.require(domain_name(text))
    return (yield from _view(domain))


def _view(domain: Domain) -> Steps[DomainView]:
    entries = yield from addresses.of_domain(domain.name)
    counts = Counter(entry.kind for entry in entries if entry.local != CATCH_ALL)
    catch_all = next((entry for entry in entries if entry.local == CATCH_ALL), None)
    answers = yield from _answers(catch_all)
    return DomainView(
        name=domain.name,
        unicode=unicode_domain(domain.name),
        enabled=domain.enabled,
        separator=domain.separator,
        catch_all=answers,
        split=domain.split,
        next_hop=domain.next_hop,
        accounts=counts[ACCOUNT],
        aliases=counts[ALIAS],
        groups=counts[GROUP],
        created_at=domain.created_at,
    )


def _answers(catch_all: AddressEntry | None) -> Steps[tuple[str, ...]]:
    if catch_all is None:
        return ()
    if catch_all.principal is None:
        return tuple(str(target) for target in catch_all.targets)
    principal = yield from principals.get(catch_all.principal)
    return (principal.login,) if principal else ()
