"""Addresses that lead to others: aliases and groups."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin import lists
from postillon.admin.accounts import Removed
from postillon.admin.lists import AliasView, GroupView
from postillon.server.api.office import Office
from postillon.server.api.operation import Scope, operation


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasToMake:
    address: str
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasChange:
    """Targets to add and to remove."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupToMake:
    address: str
    members: tuple[str, ...] = ()
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """Members to add and to remove; None leaves a thing as it is."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    name: str | None = None
    enabled: bool | None = None


@operation("GET", "/aliases")
async def list_aliases(office: Office, *, domain: str | None = None) -> list[AliasView]:
    """Aliases by address, of a domain or of all."""
    return await lists.aliases(office.desk, domain)


@operation("POST", "/aliases", Scope.WRITE, status=201)
async def create_alias(office: Office, *, body: AliasToMake) -> AliasView:
    """Let an address lead to others."""
    return await lists.create_alias(office.desk, body.address, body.targets)


@operation("GET", "/aliases/{address}")
async def get_alias(office: Office, *, address: str) -> AliasView:
    """One alias."""
    return await lists.alias(office.desk, address)


@operation("PATCH", "/aliases/{address}", Scope.WRITE)
async def change_alias(office: Office, *, address: str, body: AliasChange) -> AliasView:
    """Add and remove targets; at least one stays."""
    return await lists.set_alias(office.desk, address, add=body.add, drop=body.drop)


@operation("DELETE", "/aliases/{address}", Scope.WRITE)
async def remove_alias(office: Office, *, address: str) -> Removed:
    """Remove an alias."""
    return await lists.remove_alias(office.desk, address)


@operation("GET", "/groups")
async def list_groups(office: Office) -> list[GroupView]:
    """Groups by address."""
    return await lists.groups(office.desk)


@operation("POST", "/groups", Scope.WRITE, status=201)
async def create_group(office: Office, *, body: GroupToMake) -> GroupView:
    """Make a group: an address that leads to its members, and a holder of rights."""
    return await lists.create_group(office.desk, body.address, body.members, body.name)


@operation("GET", "/groups/{address}")
async def get_group(office: Office, *, address: str) -> GroupView:
    """One group."""
    return await lists.group(office.desk, address)


@operation("PATCH", "/groups/{address}", Scope.WRITE)
async def change_group(office: Office, *, address: str, body: GroupChange) -> GroupView:
    """Change members, name, or whether it takes mail."""
    return await lists.set_group(
        office.desk, address, add=body.add, drop=body.drop, name=body.name, enabled=body.enabled
    )


@operation("DELETE", "/groups/{address}", Scope.WRITE)
async def remove_group(office: Office, *, address: str) -> Removed:
    """Remove a group; its members stay."""
    return await lists.remove_group(office.desk, address)
