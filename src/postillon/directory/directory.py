"""The directory: domains, people, groups, aliases. Reads are bounded, changes wait until durable.

Accounts are made and removed by `account.Accounts`, because their data belongs to it.
"""

from __future__ import annotations

from collections.abc import Sequence

from postillon.directory import addresses, domains, principals, resolution
from postillon.directory.addresses import ALIAS, AddressEntry, Removal
from postillon.directory.domains import Domain
from postillon.directory.errors import BadName
from postillon.directory.names import domain_name
from postillon.directory.principals import Principal, PrincipalKind
from postillon.directory.resolution import Resolution
from postillon.mail.address import Address
from postillon.store.operation import Steps, Store, Tx


class Directory:
    """Logins, addresses and domains are given as text; errors are the DirectoryError family."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # Questions

    async def resolve(self, address: Address) -> Resolution:
        """Who answers for an address: one step, see `resolution`."""
        return await self._store.query(resolution.resolve(address))

    async def owns(self, principal: int, address: Address) -> bool:
        """Whether an account may write as this address."""
        return await self._store.query(resolution.owns(principal, address))

    async def domain(self, text: str) -> Domain | None:
        """None also for text that is no domain."""
        try:
            name = domain_name(text)
        except BadName:
            return None
        return await self._store.query(domains.get(name))

    async def domains(self) -> list[Domain]:
        """By name."""
        return await self._store.query(domains.every())

    async def principal(self, principal: int) -> Principal | None:
        return await self._store.query(principals.get(principal))

    async def by_login(self, text: str) -> Principal | None:
        """The account one means by this login: any of its addresses, but no sub-address."""
        return await self._store.query(principals.by_login(text))

    async def require(self, login: str, *kinds: PrincipalKind) -> Principal:
        """Raises BadName, PrincipalNotFound or WrongKind."""
        return await self._store.query(principals.require(login, *kinds))

    async def principals(self, *kinds: PrincipalKind) -> list[Principal]:
        """Of these kinds, or of all; by login. Not bounded: for tools."""
        return await self._store.query(principals.every(*kinds))

    async def addresses_of(self, principal: int) -> list[AddressEntry]:
        return await self._store.query(addresses.of_principal(principal))

    async def aliases(self, domain: str | None = None) -> list[AddressEntry]:
        """Of a domain or of all. Not bounded: for tools. Raises BadName or DomainNotFound."""
        return await self._store.query(addresses.of_domain(domain, ALIAS))

    async def members(self, group: int) -> tuple[Address, ...]:
        return await self._store.query(principals.members(group))

    # Domains

    async def create_domain(
        self,
        name: str,
        *,
        separator: str = "+",
        split: bool = False,
        next_hop: str | None = None,
    ) -> Domain:
        """Raises BadName or DomainExists."""
        return await self._store.write(
            lambda tx: domains.create(tx, name, separator, split, next_hop)
        )

    async def update_domain(
        self,
        name: str,
        *,
        enabled: bool | None = None,
        separator: str | None = None,
        split: bool | None = None,
        next_hop: str | None = None,
    ) -> Domain:
        """Change what is given; next_hop "" removes it. Raises BadName or DomainNotFound."""
        return await self._store.write(
            lambda tx: domains.update(tx, name, enabled, separator, split, next_hop)
        )

    async def delete_domain(self, name: str) -> None:
        """Raises BadName, DomainNotFound, or DomainInUse while it has addresses."""
        await self._store.write(lambda tx: domains.delete(tx, name))

    # Principals

    async def update(
        self,
        login: str,
        *,
        name: str | None = None,
        enabled: bool | None = None,
        admin: bool | None = None,
        language: str | None = None,
    ) -> Principal:
        """Change what is given of an account or group. Raises BadName or PrincipalNotFound."""
        return await self._store.write(
            lambda tx: principals.update(tx, login, name, enabled, admin, language)
        )

    async def rename(self, login: str, new_login: str) -> Principal:
        """Another primary address; the old one stays its own.

        Raises BadName, PrincipalNotFound, DomainNotFound or AddressTaken.
        """
        return await self._store.write(lambda tx: principals.rename(tx, login, new_login))

    async def add_address(self, login: str, address: str) -> AddressEntry:
        """One more address of an account or group; "@example.org" is the catch-all.

        Raises BadName, PrincipalNotFound, DomainNotFound or AddressTaken.
        """
        return await self._store.write(lambda tx: principals.add_address(tx, login, address))

    async def delete_address(self, address: str) -> Removal:
        """Remove an alias or an additional address.

        Raises BadName, DomainNotFound, AddressNotFound, or AddressProtected for a primary one.
        """
        return await self._store.write(lambda tx: addresses.delete(tx, address))

    # Aliases and groups

    async def create_alias(self, address: str, targets: Sequence[str]) -> AddressEntry:
        """Raises BadName, DomainNotFound, AddressTaken or TooMany."""
        return await self._store.write(
            lambda tx: addresses.set_alias(tx, address, targets, replace=False)
        )

    async def set_targets(self, address: str, targets: Sequence[str]) -> AddressEntry:
        """Raises BadName, DomainNotFound, AddressNotFound or TooMany."""
        return await self._store.write(
            lambda tx: addresses.set_alias(tx, address, targets, replace=True)
        )

    async def create_group(
        self, address: str, members: Sequence[str] = (), *, name: str = ""
    ) -> Principal:
        """Raises BadName, DomainNotFound, AddressTaken or TooMany."""

        def operation(tx: Tx) -> Steps[Principal]:
            group = yield from principals.create(tx, address, PrincipalKind.GROUP, name)
            yield from principals.set_members(tx, group.login, members)
            return group

        return await self._store.write(operation)

    async def set_members(self, login: str, members: Sequence[str]) -> tuple[Address, ...]:
        """Raises BadName, PrincipalNotFound, WrongKind or TooMany."""
        return await self._store.write(lambda tx: principals.set_members(tx, login, members))

    async def delete_group(self, login: str) -> Removal:
        """Raises BadName, PrincipalNotFound or WrongKind."""

        def operation(tx: Tx) -> Steps[Removal]:
            group = yield from principals.require(login, PrincipalKind.GROUP)
            return (yield from principals.delete(tx, group.id))

        return await self._store.write(operation)
