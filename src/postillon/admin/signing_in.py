"""How people and programs sign in, for an administrator: app passwords, second factors, keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from postillon.admin.audit import audited
from postillon.admin.desk import Desk
from postillon.admin.errors import refusals
from postillon.directory import api_keys, app_passwords, second_factor, sessions
from postillon.directory.api_keys import ApiKey
from postillon.directory.app_passwords import AppPassword
from postillon.directory.principals import Principal, PrincipalKind


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordView:
    """An app password as it is shown."""

    id: int
    name: str
    protocols: tuple[str, ...]
    created_at: int  # ms, as the others
    used_at: int | None  # within an hour; None: never
    expires_at: int | None  # None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeAppPassword:
    """password: shown only now."""

    app_password: AppPasswordView
    password: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyView:
    """A key of the administration API as it is shown."""

    id: int
    name: str
    scopes: tuple[str, ...]
    created_at: int  # ms, as the others
    used_at: int | None  # within an hour; None: never
    expires_at: int | None  # None: never


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeApiKey:
    """key: shown only now."""

    api_key: ApiKeyView
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SecondFactorView:
    """recovery_codes: how many are left. sessions: that are open, of the web client and of OAuth."""

    login: str
    on: bool
    since: int | None  # ms
    recovery_codes: int
    sessions: int


async def app_passwords_of(desk: Desk, login: str) -> list[AppPasswordView]:
    """Raises Refused."""
    async with refusals(desk):
        owner = await _owner(desk, login)
        return [_app(item) for item in await desk.store.query(app_passwords.every(owner.id))]


@audited("account.add-app-password", "login")
async def add_app_password(
    desk: Desk, login: str, name: str, protocols: Sequence[str] = (), days: int | None = None
) -> MadeAppPassword:
    """Make one for these protocols, or for all. days: until it expires. Raises Refused."""
    async with refusals(desk):
        owner = await _owner(desk, login)
        made, password = await desk.credentials.add_app_password(
            owner, name, protocols, _in(desk, days)
        )
        return MadeAppPassword(app_password=_app(made), password=password)


@audited("account.remove-app-password", "login")
async def remove_app_password(desk: Desk, login: str, number: int) -> None:
    """It is good for nothing from now on. Raises Refused."""
    async with refusals(desk):
        owner = await _owner(desk, login)
        await desk.store.write(lambda tx: app_passwords.remove(tx, owner.id, number))


async def second_factor_of(desk: Desk, login: str) -> SecondFactorView:
    """Raises Refused."""
    async with refusals(desk):
        return await _factor(desk, await _owner(desk, login))


@audited("account.remove-second-factor", "login")
async def remove_second_factor(desk: Desk, login: str) -> SecondFactorView:
    """For somebody who has lost it: the password alone is enough again. Raises Refused."""
    async with refusals(desk):
        owner = await _owner(desk, login)
        await desk.store.write(lambda tx: second_factor.remove(tx, owner.id))
        return await _factor(desk, owner)


@audited("account.sign-out", "login")
async def sign_out(desk: Desk, login: str) -> int:
    """End all sessions of somebody, those of OAuth too; how many there were. Raises Refused."""
    async with refusals(desk):
        owner = await _owner(desk, login)
        return await desk.store.write(lambda tx: sessions.end_all(tx, owner.id))


async def keys(desk: Desk) -> list[ApiKeyView]:
    """By name."""
    return [_key(item) for item in await desk.store.query(api_keys.every())]


@audited("api-key.add", "name")
async def add_key(
    desk: Desk, name: str, scopes: Sequence[str] = (), days: int | None = None
) -> MadeApiKey:
    """Make one; without scopes it may read. days: until it expires. Raises Refused."""
    async with refusals(desk):
        expires_at = _in(desk, days)
        made, key = await desk.store.write(lambda tx: api_keys.add(tx, name, scopes, expires_at))
        return MadeApiKey(api_key=_key(made), key=key)


@audited("api-key.remove", "name")
async def remove_key(desk: Desk, name: str) -> ApiKeyView:
    """It is good for nothing from now on. Raises Refused."""
    async with refusals(desk):
        return _key(await desk.store.write(lambda tx: api_keys.remove(tx, name)))


async def _owner(desk: Desk, login: str) -> Principal:
    return await desk.directory.require(login, PrincipalKind.PERSON)


def _in(desk: Desk, days: int | None) -> int | None:
    return None if days is None else desk.credentials.clock() + days * 86_400_000


async def _factor(desk: Desk, owner: Principal) -> SecondFactorView:
    found = await desk.store.query(second_factor.status(owner.id))
    open_ = await desk.store.query(sessions.every(owner.id, desk.credentials.clock()))
    return SecondFactorView(
        login=owner.login, on=found.on, since=found.since, recovery_codes=found.recovery_left,
        sessions=len(open_),
    )  # fmt: skip


def _app(item: AppPassword) -> AppPasswordView:
    return AppPasswordView(
        id=item.id, name=item.name, protocols=item.protocols, created_at=item.created_at,
        used_at=item.used_at, expires_at=item.expires_at,
    )  # fmt: skip


def _key(item: ApiKey) -> ApiKeyView:
    return ApiKeyView(
        id=item.id, name=item.name, scopes=item.scopes, created_at=item.created_at,
        used_at=item.used_at, expires_at=item.expires_at,
    )  # fmt: skip
