"""`postillon account app-password`, `second-factor` and `sign-out`; `postillon api-key`."""

from __future__ import annotations

import click

from postillon.admin import signing_in
from postillon.admin.signing_in import ApiKeyView, AppPasswordView, SecondFactorView
from postillon.directory.scopes import OF_KEYS, PROTOCOLS
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.tables import answer, facts, table, when

DAYS = click.IntRange(1, 3_650)


@click.group("app-password")
def app_password() -> None:
    """Passwords for single programs, each for the protocols it was made for."""


@app_password.command("list")
@click.argument("login")
@place_options
def list_app_passwords(place: Place, login: str) -> None:
    """List the app passwords of an account, with when each was used last."""
    views = place.at_desk(lambda desk: signing_in.app_passwords_of(desk, login))
    answer(place.as_json, views, lambda: _apps(views, login))


@app_password.command("add")
@click.argument("login")
@click.argument("name")
@click.option(
    "--protocol", "protocols", multiple=True, type=click.Choice(list(PROTOCOLS)),
    help="What it is good for; several are possible. Default: all.",
)  # fmt: skip
@click.option("--days", type=DAYS, help="Days until it expires; default: never.")
@place_options
def add_app_password(
    place: Place, login: str, name: str, protocols: tuple[str, ...], days: int | None
) -> None:
    """Make an app password. NAME says what it is for, such as "Phone"."""
    made = place.at_desk(
        lambda desk: signing_in.add_app_password(desk, login, name, protocols, days)
    )
    view = made.app_password
    lines = [
        f"added app password {view.id} for {', '.join(view.protocols)}",
        f"\nPassword, shown only now: {made.password}",
    ]
    answer(place.as_json, made, lambda: "\n".join(lines))


@app_password.command("remove")
@click.argument("login")
@click.argument("number", type=int)
@place_options
def remove_app_password(place: Place, login: str, number: int) -> None:
    """Revoke an app password; NUMBER is from the list."""
    place.at_desk(lambda desk: signing_in.remove_app_password(desk, login, number))
    views = place.at_desk(lambda desk: signing_in.app_passwords_of(desk, login))
    answer(place.as_json, views, lambda: f"removed app password {number}")


@click.command("second-factor")
@click.argument("login")
@click.option("--off", is_flag=True, help="Switch it off, for who has lost it.")
@place_options
def second_factor(place: Place, login: str, off: bool) -> None:
    """Show whether an account has a second factor; people switch it on themselves."""
    if off:
        view = place.at_desk(lambda desk: signing_in.remove_second_factor(desk, login))
    else:
        view = place.at_desk(lambda desk: signing_in.second_factor_of(desk, login))
    answer(place.as_json, view, lambda: _factor(view))


@click.command("sign-out")
@click.argument("login")
@place_options
def sign_out(place: Place, login: str) -> None:
    """End all sessions of an account: the web client's and those of programs it has let in."""
    count = place.at_desk(lambda desk: signing_in.sign_out(desk, login))
    answer(place.as_json, {"ended": count}, lambda: f"ended {count} sessions of {login}")


@click.group("api-key")
def api_key() -> None:
    """Keys of the administration API, for programs."""


@api_key.command("list")
@place_options
def list_keys(place: Place) -> None:
    """List the keys, with when each was used last."""
    views = place.at_desk(signing_in.keys)
    answer(place.as_json, views, lambda: _keys(views))


@api_key.command("add")
@click.argument("name")
@click.option(
    "--scope", "scopes", multiple=True, type=click.Choice(OF_KEYS),
    help="What it may do; default: admin:read. admin:write includes reading.",
)  # fmt: skip
@click.option("--days", type=DAYS, help="Days until it expires; default: never.")
@place_options
def add_key(place: Place, name: str, scopes: tuple[str, ...], days: int | None) -> None:
    """Make a key. NAME says which program it is for."""
    made = place.at_desk(lambda desk: signing_in.add_key(desk, name, scopes, days))
    view = made.api_key
    lines = [
        f"added key {view.name} with {', '.join(view.scopes)}",
        f"\nKey, shown only now: {made.key}",
    ]
    answer(place.as_json, made, lambda: "\n".join(lines))


@api_key.command("remove")
@click.argument("name")
@place_options
def remove_key(place: Place, name: str) -> None:
    """Revoke a key."""
    view = place.at_desk(lambda desk: signing_in.remove_key(desk, name))
    answer(place.as_json, view, lambda: f"removed key {view.name}")


def _apps(views: list[AppPasswordView], login: str) -> str:
    return table(
        views,
        [
            ("Number", lambda view: view.id),
            ("Name", lambda view: view.name),
            ("For", lambda view: ", ".join(view.protocols)),
            ("Made", lambda view: when(view.created_at)),
            ("Last use", lambda view: when(view.used_at) if view.used_at else "never"),
            ("Expires", lambda view: when(view.expires_at) if view.expires_at else "never"),
        ],
        f"There is none: postillon account app-password add {login} NAME",
    )


def _keys(views: list[ApiKeyView]) -> str:
    return table(
        views,
        [
            ("Name", lambda view: view.name),
            ("Scopes", lambda view: ", ".join(view.scopes)),
            ("Made", lambda view: when(view.created_at)),
            ("Last use", lambda view: when(view.used_at) if view.used_at else "never"),
            ("Expires", lambda view: when(view.expires_at) if view.expires_at else "never"),
        ],
        "There is no key yet: postillon api-key add NAME",
    )


def _factor(view: SecondFactorView) -> str:
    return facts(
        [
            ("Account", view.login),
            ("Second factor", "on" if view.on else "off"),
            ("Since", when(view.since) if view.since else None),
            ("Recovery codes left", view.recovery_codes if view.on else None),
            ("Open sessions", view.sessions),
        ]
    )
