"""Who signs in, and who is kept from it, for an administrator."""

from __future__ import annotations

from dataclasses import dataclass

from postillon.admin.desk import Desk
from postillon.directory import attempts
from postillon.directory.attempts import Entry

MAX_PAGE = 500  # lines one read returns


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInView:
    """Attempts of one kind within a minute, or within an hour where they succeeded.

    network: an IPv4 address or IPv6 /64; "" for many together. address: the last one of it. login: ""
    where it was no address in a domain of this server: such text may be a password, and is not kept.
    outcome: ok, wrong_password, unknown_login, disabled, needs_code, wrong_code, not_for_this,
    for_another, bad_token, turned_away. Times are ms.
    """

    entry: int
    network: str
    address: str
    login: str
    protocol: str
    outcome: str
    attempts: int
    first_at: int
    last_at: int


async def sign_ins(
    desk: Desk, about: str = "", *, failed: bool = False, before: int = 0, limit: int = 100
) -> list[SignInView]:
    """The latest, newest first. about: part of a login or address; before: an entry, or 0."""
    steps = attempts.latest(about, failed=failed, before=before, limit=min(limit, MAX_PAGE))
    return [_view(item) for item in await desk.store.read_apart(steps)]


def _view(item: Entry) -> SignInView:
    return SignInView(
        entry=item.entry, network=item.network, address=item.address, login=item.login,
        protocol=item.protocol, outcome=item.outcome, attempts=item.attempts,
        first_at=item.first_at, last_at=item.last_at,
    )  # fmt: skip
