"""What the commands share: finding the configuration, opening the store, saying no."""

from __future__ import annotations

import functools
import json
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from postillon.admin.errors import Refused
from postillon.server.config import ConfigNotFound, Configuration, find, load
from postillon.server.config_reader import ConfigProblems
from postillon.server.loop import run
from postillon.store.operation import StoreError

if TYPE_CHECKING:
    from postillon.admin.desk import Desk
    from postillon.store.choice import AnyStore
    from postillon.store.sqlite import SqliteStore

P = ParamSpec("P")
T = TypeVar("T")

REFUSED, USAGE = 1, 2  # exit codes; 0 is success


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command works, and how it answers."""

    config: Path | None
    data: Path | None
    as_json: bool

    def configuration(self) -> Configuration:
        """Raises ConfigNotFound or ConfigProblems."""
        return load(find(self.config, self.data))

    def at_desk(self, work: Callable[[Desk], Awaitable[T]]) -> T:
        """Open the data folder beside the running server and do the work."""
        return at_desk(self.configuration(), work)

    def look(self, read: Callable[[Desk], T]) -> T:
        """As `at_desk`, for what only reads."""

        async def work(desk: Desk) -> T:
            return read(desk)

        return self.at_desk(work)


def at_desk(
    config: Configuration, work: Callable[[Desk], Awaitable[T]], *, fresh_ok: bool = False
) -> T:
    """As `Place.at_desk`. fresh_ok: whether a store may be made where there is none."""
    from postillon.admin.desk import open_desk

    who = caller()  # before a root becomes the owner of the data folder

    async def opened() -> T:
        async with open_desk(
            config.server.data, config.store, config.auth, fresh_ok=fresh_ok, who=who
        ) as desk:
            return await work(desk)

    enter(config, fresh_ok)
    return run(opened())


def at_database(config: Configuration, work: Callable[[AnyStore], Awaitable[T]]) -> T:
    """Open the store alone and do the work."""
    from postillon.admin.desk import open_database

    async def opened() -> T:
        async with open_database(config.server.data, config.store) as store:
            return await work(store)

    enter(config)
    return run(opened())


def at_files(config: Configuration, work: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """As `at_database`, for what only SQLite has. Raises Refused with another database."""
    from postillon.store.sqlite import SqliteStore

    async def checked(store: AnyStore) -> T:
        if isinstance(store, SqliteStore):
            return await work(store)
        hint = "use PostgreSQL's own tools for it, such as pg_dump and pg_basebackup"
        raise Refused("the store is in PostgreSQL, which this cannot do", hint)

    return at_database(config, checked)


def enter(config: Configuration, fresh_ok: bool = False) -> None:
    """See that there is a data folder, and become its owner. Raises Refused."""
    if not fresh_ok and not config.server.data.is_dir():
        hint = "`postillon init` makes one, and so does the first start of the server"
        raise Refused(f"there is no data folder {config.server.data}", hint)
    become_owner(config.server.data)


def become_owner(data: Path) -> None:
    """As root, work as the owner of the data folder: nothing root makes may lie in its way."""
    if os.geteuid() != 0 or not data.exists():
        return
    facts = data.stat()
    if facts.st_uid != 0:
        os.setgroups([])
        os.setgid(facts.st_gid)
        os.setuid(facts.st_uid)


def caller() -> str:
    """Who types the command: a user of this machine."""
    user = os.environ.get("SUDO_USER")
    if user:
        return user
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # in a container, perhaps
        return str(os.getuid())


def guarded(function: Callable[P, T]) -> Callable[P, T]:
    """Print what is refused, and why, without a traceback; then exit with 1."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except ConfigProblems as error:
            for problem in error.problems:
                click.echo(str(problem), err=True)
        except ConfigNotFound as error:
            refuse(str(error), "name one with --config FILE, or begin with: postillon init")
        except Refused as error:
            refuse(error.what, error.hint)
        except StoreError as error:
            refuse(str(error))
        except PermissionError as error:
            refuse(f"{error.filename}: permission denied", "run it as the owner of the data folder")
        raise click.exceptions.Exit(REFUSED)

    return wrapper


def refuse(what: str, hint: str = "") -> None:
    """Say no on standard error, as JSON where the command answers in JSON."""
    context = click.get_current_context(silent=True)
    if context is not None and context.params.get("as_json"):
        click.echo(json.dumps({"error": what, "hint": hint}, ensure_ascii=False), err=True)
        return
    click.echo(f"postillon: {what}", err=True)
    if hint:
        click.echo(f"    {hint}", err=True)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as click's decorators
    """--config, --data and --json, given to the command as `place`; refusals end with 1."""

    @click.option("--config", type=click.Path(path_type=Path), help="Configuration file.")
    @click.option("--data", type=click.Path(path_type=Path), help="Data folder of a demo.")
    @click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
    @functools.wraps(function)
    def command(config: Path | None, data: Path | None, as_json: bool, **options: Any) -> Any:
        return guarded(function)(Place(config, data, as_json), **options)

    return command


def choose_password(
    file: Path | None, generated: bool, prompt: str = "Password"
) -> tuple[str, bool]:
    """The password to set, and whether it was made here and must be shown.

    It never comes from the command line, where other users of the machine can read it.
    """
    from postillon.admin import passwords

    if file is not None and generated:
        raise click.UsageError("choose one of --password-file and --generate")
    if file is not None:
        return passwords.read(file), False
    if generated:
        return passwords.generate(), True
    if not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on: use --password-file or --generate")
    return click.prompt(prompt, hide_input=True, confirmation_prompt=True), False


def password_options(function: Callable[..., Any]) -> Callable[..., Any]:  # Any: as above
    """--password-file and --generate."""
    for option in (
        click.option("--generate", is_flag=True, help="Make a password and print it once."),
        click.option(
            "--password-file",
            type=click.Path(path_type=Path),
            help="Read the password from the first line of a file.",
        ),
    ):
        function = option(function)
    return function


def sure(question: str, yes: bool) -> None:
    """Ask before something that cannot be undone; --yes says it beforehand."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("this cannot be undone; confirm it with --yes")
    click.confirm(question, abort=True)
