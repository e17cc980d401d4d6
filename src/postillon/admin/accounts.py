"""What an administrator does with accounts: people, and shared accounts nobody logs in to."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.account.errors import AccountNotFound
from postillon.admin.audit import audited
from postillon.admin.desk import Desk
from postillon.admin.errors import Refused, nearest, refusals
from postillon.directory import principals
from postillon.directory.addresses import Removal
from postillon.directory.errors import DomainNotFound
from postillon.directory.principals import Principal, PrincipalKind

OWNERS = (PrincipalKind.PERSON, PrincipalKind.SHARED)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountView:
    """An account as it is shown."""

    id: int
    login: str
    name: str
    kind: str  # person or shared
    enabled: bool
    admin: bool
    language: str  # a tag such as "fr" or "de-CH"; "" is not known
    addresses: tuple[str, ...]  # the primary one first
    quota: int | None  # octets; None is unlimited
    used: int  # octets
    emails: int
    created_at: int  # ms


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAccount:
    """What an account begins with. password None: nobody can log in yet."""

    login: str
    name: str = ""
    password: str | None = None
    shared: bool = False
    admin: bool = False
    quota: int | None = None  # octets; None is unlimited
    language: str = ""  # of what the server writes to it, as in AccountView


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountChange:
    """None leaves a thing as it is. quota 0 makes it unlimited."""

    name: str | None = None
    enabled: bool | None = None
    admin: bool | None = None
    quota: int | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What went with an account, a group or an alias."""

    addresses: tuple[str, ...]
    aliases: tuple[str, ...]  # that had no other target


async def every(desk: Desk, domain: str | None = None) -> list[AccountView]:
    """By login; of one domain or of all. Raises Refused for a domain that is not here."""
    async with refusals(desk):
        found = await desk.directory.principals(*OWNERS)
        if domain is None:
            return [await _view(desk, principal) for principal in found]
        known = await desk.directory.domain(domain)
        if known is None:
            hint = nearest(domain, [item.name for item in await desk.directory.domains()])
            raise Refused(f"{domain} is not a domain of this server", hint)
        ending = f"@{known.name}"
        return [
            await _view(desk, principal) for principal in found if principal.login.endswith(ending)
        ]


async def page(
    desk: Desk, *, domain: str = "", text: str = "", after: str = "", limit: int = 100
) -> list[AccountView]:
    """Some accounts by login, from behind the login `after`; text: a part of a login or a name.

    Raises Refused for a domain that is not here.
    """
    async with refusals(desk):
        if domain:
            known = await desk.directory.domain(domain)
            if known is None:
                raise DomainNotFound(domain)
            domain = known.name
        found = await desk.store.read_apart(principals.page(OWNERS, domain, text, after, limit))
        return [await _view(desk, principal) for principal in found]


async def show(desk: Desk, login: str) -> AccountView:
    """Raises Refused."""
    async with refusals(desk):
        return await _view(desk, await desk.directory.require(login, *OWNERS))


@audited("account.create", "new.login")
async def create(desk: Desk, new: NewAccount) -> AccountView:
    """Raises Refused."""
    if new.shared and (new.password is not None or new.admin):
        raise Refused("nobody logs in to a shared account: it takes no password and no rights")
    async with refusals(desk):
        password = None
        if new.password is not None:
            password = await desk.credentials.prepare(new.password)
        principal = await desk.accounts.create(
            new.login,
            password=password,
            name=new.name,
            kind=PrincipalKind.SHARED if new.shared else PrincipalKind.PERSON,
            admin=new.admin,
            quota=new.quota,
            language=new.language,
        )
        return await _view(desk, principal)


@audited("account.change", "login")
async def change(desk: Desk, login: str, wanted: AccountChange) -> AccountView:
    """Raises Refused."""
    async with refusals(desk):
        principal = await desk.directory.require(login, *OWNERS)
        if wanted.admin and principal.kind is PrincipalKind.SHARED:
            raise Refused("nobody logs in to a shared account: it can be no administrator")
        if wanted.quota is not None:
            await desk.accounts.set_quota(login, wanted.quota or None)
        principal = await desk.directory.update(
            login,
            name=wanted.name,
            enabled=wanted.enabled,
            admin=wanted.admin,
            language=wanted.language,
        )
        return await _view(desk, principal)


@audited("account.password", "login")
async def set_password(desk: Desk, login: str, password: str) -> None:
    """Raises Refused."""
    async with refusals(desk):
        await desk.credentials.set_password(login, password)


@audited("account.rename", "login")
async def rename(desk: Desk, login: str, new_login: str) -> AccountView:
    """The old address stays an address of the account. Raises Refused."""
    async with refusals(desk):
        await desk.directory.require(login, *OWNERS)
        return await _view(desk, await desk.directory.rename(login, new_login))


@audited("account.add-address", "login")
async def add_address(desk: Desk, login: str, address: str) -> AccountView:
    """Raises Refused."""
    async with refusals(desk):
        principal = await desk.directory.require(login, *OWNERS)
        await desk.directory.add_address(login, address)
        return await _view(desk, principal)


@audited("account.remove-address", "login")
async def remove_address(desk: Desk, login: str, address: str) -> AccountView:
    """Raises Refused, also if the address is another's."""
    async with refusals(desk):
        principal = await desk.directory.require(login, *OWNERS)
        owner = await desk.directory.by_login(address)
        catch_all = address.startswith(("@", "*@"))
        if not catch_all and (owner is None or owner.id != principal.id):
            raise Refused(f"{address} is no address of {principal.login}")
        own = {entry.text for entry in await desk.directory.addresses_of(principal.id)}
        if catch_all and f"@{address.partition('@')[2].lower()}" not in own:
            raise Refused(f"{address} is no address of {principal.login}")
        await desk.directory.delete_address(address)
        return await _view(desk, principal)


@audited("account.remove", "login")
async def remove(desk: Desk, login: str) -> Removed:
    """With all its mail. Raises Refused."""
    async with refusals(desk):
        return removed(await desk.accounts.remove(login))


def removed(removal: Removal) -> Removed:
    return Removed(addresses=removal.addresses, aliases=removal.aliases)


async def _view(desk: Desk, principal: Principal) -> AccountView:
    try:
        facts = await desk.accounts.open(principal.id).facts()
        quota, used, emails = facts.quota, facts.used, facts.emails
    except AccountNotFound:  # removed by somebody else in this moment
        quota, used, emails = None, 0, 0
    entries = {entry.text for entry in await desk.directory.addresses_of(principal.id)}
    return AccountView(
        id=principal.id,
        login=principal.login,
        name=principal.name,
        kind=principal.kind.value,
        enabled=principal.enabled,
        admin=principal.admin,
        language=principal.language,
        addresses=(principal.login, *sorted(entries - {principal.login})),
        quota=quota,
        used=used,
        emails=emails,
        created_at=principal.created_at,
    )
