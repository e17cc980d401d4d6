"""`postillon logins`: who signs in, who is kept from it, and letting somebody in again."""

from __future__ import annotations

import click

from postillon.admin import logins as admin
from postillon.admin.logins import MAX_PAGE, Forgiven, SignInView, SlowedView
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


@logins.command("slowed")
@place_options
def slowed(place: Place) -> None:
    """Show which networks and logins are made to wait or turned away now, and until when."""
    config = place.configuration()
    found = place.at_desk(lambda desk: admin.slowed(desk, config.auth, MAX_PAGE))
    text = "Nobody is slowed down or turned away."
    answer(place.as_json, found, lambda: _slowed(found.slowed, text))


@logins.command("forgive")
@click.argument("who")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@place_options
def forgive(place: Place, who: str, dry_run: bool) -> None:
    """Let somebody in again, at once: forget what has failed.

    WHO is an IP address, a network, or a login; of a login also wrong codes of its second factor.
    """
    config = place.configuration()
    found = place.at_desk(lambda desk: admin.forgive(desk, config.auth, who, dry_run=dry_run))
    answer(place.as_json, found, lambda: _forgiven(found))


def _slowed(found: list[SlowedView], empty: str) -> str:
    return table(
        found,
        [
            ("Who", lambda one: one.network or one.login),
            ("Failures", lambda one: one.failures),
            ("What happens", _what),
            ("Last", lambda one: when(one.last_at)),
            ("Until", lambda one: when(one.until)),
        ],
        empty,
    )


def _what(one: SlowedView) -> str:
    if one.kind == "code":
        return "codes are not looked at"
    if one.refused:
        return "turned away"
    return f"waits {one.delay_s:g} s" if one.delay_s else "nothing yet"


def _forgiven(found: Forgiven) -> str:
    who = found.network or found.login
    if not found.lifted and not found.together:
        return f"Nothing counts against {who}."
    lines = [
        f"{'Let in again' if found.done else 'Would be let in again'}: {who}",
        _slowed(found.lifted, "Only failures that count where the login has been let in before."),
    ]
    if found.stays:
        lines += ["", "Still in the way of the same people:", _slowed(found.stays, "")]
    return "\n".join(lines)


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
