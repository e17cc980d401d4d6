"""How people and programs sign in: app passwords, second factors, sessions, keys of this API."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import msgspec

from postillon.admin import signing_in
from postillon.admin.signing_in import (
    ApiKeyView,
    AppPasswordView,
    MadeApiKey,
    MadeAppPassword,
    SecondFactorView,
)
from postillon.server.api.office import Office
from postillon.server.api.operation import Scope, operation

Days = Annotated[int, msgspec.Meta(ge=1, le=3_650)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AppPasswordToMake:
    """protocols: imap, pop3, smtp, jmap; none is all. days: until it expires."""

    name: str
    protocols: tuple[str, ...] = ()
    days: Days | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKeyToMake:
    """scopes: admin:read, admin:write; none is admin:read. days: until it expires."""

    name: str
    scopes: tuple[str, ...] = ()
    days: Days | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOut:
    """How many sessions have ended."""

    ended: int


@operation("GET", "/accounts/{login}/app-passwords")
async def list_app_passwords(office: Office, *, login: str) -> list[AppPasswordView]:
    """App passwords of an account, with when each was used last."""
    return await signing_in.app_passwords_of(office.desk, login)


@operation("POST", "/accounts/{login}/app-passwords", Scope.WRITE, status=201)
async def create_app_password(
    office: Office, *, login: str, body: AppPasswordToMake
) -> MadeAppPassword:
    """Make an app password; it is shown this once."""
    return await signing_in.add_app_password(
        office.desk, login, body.name, body.protocols, body.days
    )


@operation("DELETE", "/accounts/{login}/app-passwords/{number}", Scope.WRITE)
async def remove_app_password(office: Office, *, login: str, number: int) -> None:
    """Revoke an app password."""
    await signing_in.remove_app_password(office.desk, login, number)


@operation("GET", "/accounts/{login}/second-factor")
async def get_second_factor(office: Office, *, login: str) -> SecondFactorView:
    """Whether an account has a second factor, and how many sessions are open."""
    return await signing_in.second_factor_of(office.desk, login)


@operation("DELETE", "/accounts/{login}/second-factor", Scope.WRITE)
async def remove_second_factor(office: Office, *, login: str) -> SecondFactorView:
    """Switch the second factor off, for who has lost it."""
    return await signing_in.remove_second_factor(office.desk, login)


@operation("POST", "/accounts/{login}/sign-out", Scope.WRITE)
async def sign_out(office: Office, *, login: str) -> SignedOut:
    """End all sessions of an account: the web client's and those of programs it has let in."""
    return SignedOut(ended=await signing_in.sign_out(office.desk, login))


@operation("GET", "/api-keys")
async def list_api_keys(office: Office) -> list[ApiKeyView]:
    """Keys of this API by name, with when each was used last."""
    return await signing_in.keys(office.desk)


@operation("POST", "/api-keys", Scope.WRITE, status=201)
async def create_api_key(office: Office, *, body: ApiKeyToMake) -> MadeApiKey:
    """Make a key; it is shown this once."""
    return await signing_in.add_key(office.desk, body.name, body.scopes, body.days)


@operation("DELETE", "/api-keys/{name}", Scope.WRITE)
async def remove_api_key(office: Office, *, name: str) -> ApiKeyView:
    """Revoke a key."""
    return await signing_in.remove_key(office.desk, name)
