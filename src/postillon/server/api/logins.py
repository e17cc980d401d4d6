"""Who signs in and who is kept from it."""

from __future__ import annotations

from postillon.admin import logins
from postillon.admin.logins import SignInView
from postillon.server.api.office import Office
from postillon.server.api.operation import Limit, Number, operation


@operation("GET", "/logins")
async def list_sign_ins(
    office: Office, *, about: str = "", failed: bool = False, before: Number = 0, limit: Limit = 100
) -> list[SignInView]:
    """Who has tried to sign in and what came of it, newest first.

    `about` is a part of a login or an address; `failed` leaves out what succeeded. The next page is
    `before` the last entry here.
    """
    return await logins.sign_ins(office.desk, about, failed=failed, before=before, limit=limit)
