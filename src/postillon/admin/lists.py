"""What an administrator does with addresses that lead to others: aliases and groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.admin.accounts import Removed, removed
from postillon.admin.audit import audited
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused, refusals
from postillon.directory.addresses import ALIAS, AddressEntry
from postillon.directory.errors import AddressNotFound
from postillon.directory.names import address_of
from postillon.directory.principals import Principal, PrincipalKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasView:
    """An alias as it is shown. The address "@domain" is the catch-all."""

    address: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupView:
    """A group as it is shown."""

    address: str
    name: str
    enabled: bool
    members: tuple[str, ...]


async def aliases(desk: Desk, domain: str | None = None) -> list[AliasView]:
    """By address; of one domain or of all. Raises Refused."""
    async with refusals(desk):
        return [_alias(entry) for entry in await desk.directory.aliases(domain)]


async def alias(desk: Desk, address: str) -> AliasView:
    """Raises Refused."""
    async with refusals(desk):
        return _alias(await _find(desk, address))


@audited("alias.create", "address")
async def create_alias(desk: Desk, address: str, targets: Sequence[str]) -> AliasView:
    """Raises Refused."""
    async with refusals(desk):
        return _alias(await desk.directory.create_alias(address, targets))


@audited("alias.change", "address")
async def set_alias(
    desk: Desk, address: str, *, add: Sequence[str] = (), drop: Sequence[str] = ()
) -> AliasView:
    """Raises Refused; an alias keeps at least one target."""
    async with refusals(desk):
        entry = await _find(desk, address)
        targets = _changed([str(target) for target in entry.targets], add, drop)
        if not targets:
            raise Refused(f"{address} would lead nowhere", f"postillon alias remove {address}")
        return _alias(await desk.directory.set_targets(address, targets))


@audited("alias.remove", "address")
async def remove_alias(desk: Desk, address: str) -> Removed:
    """Raises Refused."""
    async with refusals(desk):
        await _find(desk, address)
        return removed(await desk.directory.delete_address(address))


async def groups(desk: Desk) -> list[GroupView]:
    """By address."""
    return [
        await _group(desk, group) for group in await desk.directory.principals(PrincipalKind.GROUP)
    ]


async def group(desk: Desk, address: str) -> GroupView:
    """Raises Refused."""
    async with refusals(desk):
        return await _group(desk, await desk.directory.require(address, PrincipalKind.GROUP))


@audited("group.create", "address")
async def create_group(
    desk: Desk, address: str, members: Sequence[str], name: str = ""
) -> GroupView:
    """Raises Refused."""
    async with refusals(desk):
        return await _group(desk, await desk.directory.create_group(address, members, name=name))


@audited("group.change", "address")
async def set_group(
    desk: Desk,
    address: str,
    *,
    add: Sequence[str] = (),
    drop: Sequence[str] = (),
    name: str | None = None,
    enabled: bool | None = None,
) -> GroupView:
    """Raises Refused."""
    async with refusals(desk):
        found = await desk.directory.require(address, PrincipalKind.GROUP)
        if add or drop:
            members = [str(member) for member in await desk.directory.members(found.id)]
            await desk.directory.set_members(found.login, _changed(members, add, drop))
        if name is not None or enabled is not None:
            found = await desk.directory.update(found.login, name=name, enabled=enabled)
        return await _group(desk, found)


@audited("group.remove", "address")
async def remove_group(desk: Desk, address: str) -> Removed:
    """Raises Refused."""
    async with refusals(desk):
        return removed(await desk.directory.delete_group(address))


def _changed(present: Sequence[str], add: Sequence[str], drop: Sequence[str]) -> list[str]:
    """Raises BadName, or Refused for something to drop that is not there."""
    kept = list(present)
    for text in drop:
        address = str(address_of(text))
        if address not in kept:
            raise Refused(f"{address} is not among {', '.join(present) or 'them: there are none'}")
        kept.remove(address)
    return [*kept, *add]


async def _find(desk: Desk, address: str) -> AddressEntry:
    """Raises BadName, DomainNotFound or AddressNotFound."""
    text = address.strip()
    wanted = f"@{text.partition('@')[2]}" if text[:1] in ("@", "*") else str(address_of(text))
    for entry in await desk.directory.aliases(wanted.rpartition("@")[2]):
        if entry.kind == ALIAS and entry.text == wanted:
            return entry
    raise AddressNotFound(wanted)


def _alias(entry: AddressEntry) -> AliasView:
    return AliasView(address=entry.text, targets=tuple(str(target) for target in entry.targets))


async def _group(desk: Desk, principal: Principal) -> GroupView:
    members = tuple(str(member) for member in await desk.directory.members(principal.id))
    return GroupView(
        address=principal.login, name=principal.name, enabled=principal.enabled, members=members
    )
