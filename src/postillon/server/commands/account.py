"""`postillon account`: people and shared accounts, their addresses, passwords and quotas."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from postillon.admin import accounts, sharing
from postillon.admin.accounts import AccountChange, AccountView, NewAccount
from postillon.admin.sharing import ShareView
from postillon.admin.units import UnitError, format_size, parse_size
from postillon.server.commands import signing_in
from postillon.server.commands.common import (
    Place,
    choose_password,
    password_options,
    place_options,
    sure,
)
from postillon.server.commands.tables import answer, facts, quota, table, to_json, when


class Quota(click.ParamType[int]):
    """ "2 GiB", or "none" for no limit, which is 0."""

    name = "size"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> int:  # Any: as click declares it
        if isinstance(value, int):
            return value
        if str(value).lower() in ("none", "unlimited"):
            return 0
        try:
            return parse_size(str(value))
        except UnitError as error:
            self.fail(f'{error}, or "none"', param, ctx)


QUOTA = Quota()


@click.group()
def account() -> None:
    """People and shared accounts, their addresses and passwords."""


@account.command("list")
@click.argument("domain", required=False)
@place_options
def list_(place: Place, domain: str | None) -> None:
    """List the accounts of a domain, or all."""
    views = place.at_desk(lambda desk: accounts.every(desk, domain))
    answer(place.as_json, views, lambda: _table(views))


@account.command()
@click.argument("login")
@place_options
def show(place: Place, login: str) -> None:
    """Show one account."""
    view = place.at_desk(lambda desk: accounts.show(desk, login))
    answer(place.as_json, view, lambda: _facts(view))


@account.command()
@click.argument("login")
@click.option("--name", default="", help="Name of the person, for people.")
@click.option("--quota", type=QUOTA, help='Room for mail, e.g. "2 GiB"; default: no limit.')
@click.option("--language", default="", help="Language of reports to it: fr, de-CH, ...")
@click.option("--admin", is_flag=True, help="May administer this server.")
@click.option("--shared", is_flag=True, help="Nobody logs in to it; it has no password.")
@click.option("--no-password", is_flag=True, help="Set none now; nobody can log in yet.")
@password_options
@place_options
def add(
    place: Place,
    login: str,
    name: str,
    quota: int | None,
    language: str,
    admin: bool,
    shared: bool,
    no_password: bool,
    password_file: Path | None,
    generate: bool,
) -> None:
    """Add an account; LOGIN is its address. The password is asked for, read or made."""
    password, made = None, False
    if not (shared or no_password):
        password, made = choose_password(password_file, generate, f"Password for {login}")
    elif password_file is not None or generate:
        raise click.UsageError("--shared and --no-password take no password")
    new = NewAccount(
        login=login, name=name, password=password, shared=shared, admin=admin, quota=quota or None,
        language=language,
    )  # fmt: skip
    view = place.at_desk(lambda desk: accounts.create(desk, new))
    _answer_with_password(place, view, f"added account {view.login}", password if made else None)


@account.command("set")
@click.argument("login")
@click.option("--name", help="Name of the person, for people.")
@click.option("--quota", type=QUOTA, help='Room for mail, e.g. "2 GiB", or "none".')
@click.option("--language", help='Language of reports to it: fr, de-CH, ...; "" forgets it.')
@click.option("--admin/--no-admin", default=None, help="May administer this server.")
@click.option("--enable/--disable", "enabled", default=None, help="A disabled one takes no mail.")
@place_options
def set_(place: Place, login: str, **options: Any) -> None:
    """Change an account; what is not given stays as it is."""
    if all(value is None for value in options.values()):
        raise click.UsageError("nothing to change was given")
    view = place.at_desk(lambda desk: accounts.change(desk, login, AccountChange(**options)))
    answer(place.as_json, view, lambda: f"changed account {view.login}\n{_facts(view)}")


@account.command()
@click.argument("login")
@password_options
@place_options
def password(place: Place, login: str, password_file: Path | None, generate: bool) -> None:
    """Give an account another password."""
    new, made = choose_password(password_file, generate, f"New password for {login}")
    place.at_desk(lambda desk: accounts.set_password(desk, login, new))
    view = place.at_desk(lambda desk: accounts.show(desk, login))
    _answer_with_password(
        place, view, f"changed the password of {view.login}", new if made else None
    )


@account.command()
@click.argument("login")
@click.argument("new_login")
@place_options
def rename(place: Place, login: str, new_login: str) -> None:
    """Give an account another primary address; the old one stays its own."""
    view = place.at_desk(lambda desk: accounts.rename(desk, login, new_login))
    answer(place.as_json, view, lambda: f"renamed {login}\n{_facts(view)}")


@account.command("add-address")
@click.argument("login")
@click.argument("address")
@place_options
def add_address(place: Place, login: str, address: str) -> None:
    """Give an account one more address; "@example.org" is the catch-all."""
    view = place.at_desk(lambda desk: accounts.add_address(desk, login, address))
    answer(place.as_json, view, lambda: f"added {address}\n{_facts(view)}")


@account.command("remove-address")
@click.argument("login")
@click.argument("address")
@place_options
def remove_address(place: Place, login: str, address: str) -> None:
    """Take an additional address away from an account."""
    view = place.at_desk(lambda desk: accounts.remove_address(desk, login, address))
    answer(place.as_json, view, lambda: f"removed {address}\n{_facts(view)}")


@account.command(context_settings={"ignore_unknown_options": True})  # -w is no option but RIGHTS
@click.argument("login")
@click.argument("mailbox")
@click.argument("who")
@click.argument("rights")
@click.option("--below", is_flag=True, help="Also in the mailboxes that are below it now.")
@place_options
def share(place: Place, login: str, mailbox: str, who: str, rights: str, below: bool) -> None:
    """Let others use a mailbox of an account.

    MAILBOX is a name such as Work/Reports, or "*" for all, also those that come later. WHO is an
    address of a person or a group, or "anyone". RIGHTS is read, write, all or none, or letters of RFC
    4314 such as lrs; with + or - before them they are added or taken away.
    """
    views = place.at_desk(
        lambda desk: sharing.share(desk, login, mailbox, who, rights, below=below)
    )
    answer(place.as_json, views, lambda: _shares(views))


@account.command()
@click.argument("login")
@place_options
def shares(place: Place, login: str) -> None:
    """Show who else may use which mailboxes of an account."""
    views = place.at_desk(lambda desk: sharing.shares(desk, login))
    answer(place.as_json, views, lambda: _shares(views))


@account.command()
@click.argument("login")
@click.option("--yes", is_flag=True, help="Do not ask.")
@place_options
def remove(place: Place, login: str, yes: bool) -> None:
    """Remove an account with all its mail. This cannot be undone."""
    view = place.at_desk(lambda desk: accounts.show(desk, login))
    sure(f"Remove {view.login} with {view.emails} emails ({format_size(view.used)})?", yes)
    gone = place.at_desk(lambda desk: accounts.remove(desk, login))
    lines = [f"removed account {view.login}, its addresses {', '.join(gone.addresses)}"]
    lines += [f"removed alias {alias}, which led nowhere else" for alias in gone.aliases]
    answer(place.as_json, gone, lambda: "\n".join(lines))


account.add_command(signing_in.app_password)
account.add_command(signing_in.second_factor)
account.add_command(signing_in.sign_out)


def _answer_with_password(place: Place, view: AccountView, done: str, made: str | None) -> None:
    if place.as_json:
        click.echo(to_json({"account": view, **({"password": made} if made else {})}))
        return
    click.echo(f"{done}\n{_facts(view)}")
    if made:
        click.echo(f"\nPassword, shown only now: {made}")


def _table(views: list[AccountView]) -> str:
    return table(
        views,
        [
            ("Account", lambda view: view.login),
            ("Name", lambda view: view.name or None),
            ("Emails", lambda view: view.emails),
            ("Used", lambda view: format_size(view.used)),
            ("Quota", lambda view: quota(view.quota)),
            ("Rights", lambda view: "admin" if view.admin else None),
            ("Enabled", lambda view: view.enabled),
        ],
        "There is no account here yet: postillon account add ADDRESS",
    )


def _shares(views: list[ShareView]) -> str:
    return table(
        views,
        [
            ("Mailbox", lambda view: view.mailbox),
            ("Who", lambda view: view.who),
            ("Rights", lambda view: view.rights),
        ],
        "Nothing is shared: postillon account share ADDRESS MAILBOX WHO RIGHTS",
    )


def _facts(view: AccountView) -> str:
    return facts(
        [
            ("Account", view.login),
            ("Name", view.name or None),
            ("Addresses", view.addresses),
            ("Kind", "administrator" if view.admin else view.kind),
            ("Language", view.language or None),
            ("Enabled", view.enabled),
            ("Emails", view.emails),
            ("Used", f"{format_size(view.used)} of {quota(view.quota)}"),
            ("Since", when(view.created_at)),
        ]
    )
