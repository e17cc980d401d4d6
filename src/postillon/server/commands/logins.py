"""`postillon logins`: who signs in, who is kept from it, and letting somebody in again."""

from __future__ import annotations

import click

from postillon.admin import logins as admin
from postillon.admin.logins import MAX_PAGE, SignInView
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, table, when

OUTCOMES = {
    "ok": "signed in",
    "wrong_password": "wrong password",
    "unknown_login": "no such login",
    "disabled": "account is closed",
    "needs_code": "second factor missing",
    "wrong_code": "wrong code",
    "not_for_this": "app password or token for something else",
    "for_another": "may not act for somebody else",
    "bad_token": "token is not good",
    "turned_away": "turned away",
}
UNKNOWN = "(not ours)"


@click.group("logins")
def logins() -> None:
    """Who signs in or fails to, and who is kept from it."""


@logins.command("list")
@click.argument("about", required=False, default="")
@click.option("--failed", is_flag=True, help="Only what did not succeed.")
@click.option("--limit", type=click.IntRange(1, MAX_PAGE), default=50, show_default=True)
@place_options
def list_(place: Place, about: str, failed: bool, limit: int) -> None:
    """Show who has tried to sign in, newest first.

    ABOUT is a part of a login or an address. A login that is no address of a domain here is not
    kept: it may be a password in the wrong field.
    """
    found = place.at_desk(lambda desk: admin.sign_ins(desk, about, failed=failed, limit=limit))
    answer(place.as_json, found, lambda: _record(found))


def _record(found: list[SignInView]) -> str:
    return table(
        found,
        [
            ("When", lambda one: when(one.last_at)),
            ("Login", lambda one: one.login or UNKNOWN),
            ("From", lambda one: one.address or "many networks"),
            ("By", lambda one: one.protocol),
            ("Outcome", lambda one: OUTCOMES.get(one.outcome, one.outcome)),
            ("Times", lambda one: one.attempts),
        ],
        "Nobody has tried to sign in.",
    )
