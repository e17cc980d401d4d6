"""Domains, and what to publish for them in DNS."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin import domains
from postillon.admin.domains import DomainChange, DomainView
from postillon.server.api.office import Office
from postillon.server.api.operation import Scope, operation
from postillon.server.published import Checked, published


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainToMake(DomainChange):
    name: str


@operation("GET", "/domains")
async def list_domains(office: Office) -> list[DomainView]:
    """All domains by name."""
    return await domains.every(office.desk)


@operation("POST", "/domains", Scope.WRITE, status=201)
async def create_domain(office: Office, *, body: DomainToMake) -> DomainView:
    """Answer for a domain from now on."""
    change = DomainChange(
        enabled=body.enabled, separator=body.separator, catch_all=body.catch_all, split=body.split,
        next_hop=body.next_hop,
    )  # fmt: skip
    return await domains.create(office.desk, body.name, change)


@operation("GET", "/domains/{name}")
async def get_domain(office: Office, *, name: str) -> DomainView:
    """One domain."""
    return await domains.show(office.desk, name)


@operation("PATCH", "/domains/{name}", Scope.WRITE)
async def change_domain(office: Office, *, name: str, body: DomainChange) -> DomainView:
    """Change what is given; "" removes a next hop or a catch-all."""
    return await domains.change(office.desk, name, body)


@operation("DELETE", "/domains/{name}", Scope.WRITE)
async def remove_domain(office: Office, *, name: str) -> None:
    """Remove a domain that has no addresses any more."""
    await domains.remove(office.desk, name)


@operation("GET", "/domains/{name}/dns")
async def check_dns(office: Office, *, name: str, fresh: bool = False) -> list[Checked]:
    """The records to publish for a domain, each looked up now.

    `fresh` forgets what was found before, for a zone that has just been changed.
    """
    view = await domains.show(office.desk, name)
    return await published(view.name, office.config, office.dns, fresh=fresh)
