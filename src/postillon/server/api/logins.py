"""Who signs in and who is kept from it."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin import logins
from postillon.admin.logins import Forgiven, SignInView, Slowed
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, Number, Scope, operation


@operation("GET", "/logins")
async def list_sign_ins(
    office: Office, *, about: str = "", failed: bool = False, before: Number = 0, limit: Limit = 100
) -> list[SignInView]:
    """Who has tried to sign in and what came of it, newest first.

    `about` is a part of a login or an address; `failed` leaves out what succeeded. The next page is
    `before` the last entry here.
    """
    return await logins.sign_ins(office.desk, about, failed=failed, before=before, limit=limit)


@dataclass(frozen=True, slots=True, kw_only=True)
class ToForgive:
    """who: an IP address, a network, or a login. dry_run: only say what would be done."""

    who: str
    dry_run: bool = False


@operation("GET", "/logins/slowed")
async def list_slowed(office: Office, *, limit: Limit = 100) -> Slowed:
    """Which networks and logins are made to wait or turned away now, and until when."""
    return await logins.slowed(office.desk, office.config.auth, limit)


@operation("POST", "/logins/forgive", Scope.WRITE)
async def forgive_login(office: Office, *, body: ToForgive) -> Forgiven:
    """Let a network or a login in again, at every worker; `dry_run` only says what that does."""
    return await logins.forgive(office.desk, office.config.auth, body.who, dry_run=body.dry_run)
