"""`postillon init`: a starter file, a data folder, the first domain, administrator and account."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from postillon.admin import accounts, domains, passwords
from postillon.admin.accounts import NewAccount
from postillon.admin.desk import Desk
from postillon.admin.domains import DomainChange
from postillon.admin.errors import Refused
from postillon.admin.records import DnsRecord, records
from postillon.directory.errors import BadName
from postillon.directory.names import domain_name, new_address
from postillon.server.certificates import own_certificate, write_new
from postillon.server.commands.common import REFUSED, at_desk, guarded
from postillon.server.config import NAME, load
from postillon.server.data_folder import make_folder
from postillon.server.offered import offered
from postillon.server.privileges import REACHABLE, out_of_reach
from postillon.server.starter import starter

DATA = "data"
FILE_MODE = 0o644  # it holds no secrets, and the server's account must read it
# For a try on one machine: nothing below 1024, nothing that others can reach.
LOOPBACK = (
    ("smtp", "127.0.0.1", 3025),
    ("submission", "127.0.0.1", 3587),
    ("submissions", "127.0.0.1", 3465),
    ("imap", "127.0.0.1", 3143),
    ("imaps", "127.0.0.1", 3993),
    ("pop3", "127.0.0.1", 3110),
    ("pop3s", "127.0.0.1", 3995),
    ("https", "127.0.0.1", 3443),
    ("http", "127.0.0.1", 3080),
    ("metrics", "127.0.0.1", 3099),
)


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path())
@click.option(
    "--data",
    "named",
    type=click.Path(path_type=Path),
    help="Folder for all state; default: data, beside the file.",
)
@click.option("--hostname", help="Full name of this machine; default: what it calls itself.")
@click.option("--domain", help="First domain; default: the host name without its first part.")
@click.option("--account", help="First administrator; default: postmaster of the domain.")
@click.option("--user", help="Account of the operating system that the server runs as.")
@click.option("--password-file", type=click.Path(path_type=Path), help="Password, first line.")
@click.option("--prompt", is_flag=True, help="Ask for the password instead of making one.")
@click.option("--database", help="PostgreSQL instead of a file: postgresql://user@host/name.")
@click.option(
    "--database-password",
    type=click.Path(path_type=Path),
    help="File with the password of the database, first line.",
)
@click.option("--loopback", is_flag=True, help="Only 127.0.0.1 and ports above 3000: for a try.")
@guarded
def init(
    folder: Path,
    named: Path | None,
    hostname: str | None,
    domain: str | None,
    account: str | None,
    user: str | None,
    password_file: Path | None,
    prompt: bool,
    database: str | None,
    database_password: Path | None,
    loopback: bool,
) -> None:
    """Set up a new server in FOLDER (default: here). Nothing that exists is overwritten.

    Where the database holds a store already, the server joins it, and no account is made.
    """
    file, data = folder / NAME, named or folder / DATA
    _check_free(file, data)
    hostname = _domain(hostname or _ask("Full name of this machine", _own_name()))
    domain = _domain(domain or _ask("First domain", _parent(hostname)))
    login = account or f"postmaster@{domain}"
    _check_account(login, domain)
    password, made = _password(password_file, prompt, login)
    owner = _owner(user)
    text = starter(
        hostname,
        str(data.absolute()) if named else DATA,
        user=user or "",
        listeners=LOOPBACK if loopback else (),
        database=database or "",
        database_password=str(database_password.absolute()) if database_password else "",
    )
    with _undone(file, data, folder):
        folder.mkdir(parents=True, exist_ok=True)
        write_new(file, text.encode())
        file.chmod(FILE_MODE)
        config = load(file)
        make_folder(data, owner)
        new = NewAccount(login=login, password=password, admin=True)

        async def first(desk: Desk) -> None:
            present = await domains.every(desk)
            if not present:
                await domains.create(desk, domain, DomainChange())
                await accounts.create(desk, new)
            own_certificate(config.server.data / "tls", [hostname])
            _tell_account(len(present), login, password if made else None)

        _work_as(owner, lambda: at_desk(config, first, fresh_ok=True))
    click.echo(f"wrote     {file}")
    click.echo(f"data      {config.server.data}")
    _tell_next(file, data, domain, hostname, loopback, user)


def _check_free(file: Path, data: Path) -> None:
    if file.exists() or file.is_symlink():
        hint = "init overwrites nothing; name another folder: postillon init FOLDER"
        raise Refused(f"{file} exists", hint)
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise Refused(f"{data} exists and is not empty", "name another folder")


def _check_account(login: str, domain: str) -> None:
    try:
        address = new_address(login, "+")
    except BadName as error:
        raise Refused(str(error), "write an address such as ada@" + domain) from None
    if address.domain != domain:
        raise Refused(f"{login} is not in {domain}", f"write an address such as ada@{domain}")


def _domain(text: str) -> str:
    try:
        return domain_name(text)
    except BadName as error:
        raise Refused(str(error), "write a name such as mail.example.org") from None


def _own_name() -> str:
    name = socket.getfqdn()
    return name if "." in name and not name.endswith((".arpa", ".localdomain")) else ""


def _parent(hostname: str) -> str:
    first, _, rest = hostname.partition(".")
    return rest if "." in rest and first else hostname


def _ask(question: str, default: str) -> str:
    if sys.stdin.isatty():
        answer: str = click.prompt(question, default=default or None)
        return answer
    if not default:
        raise click.UsageError("this machine does not know its full name: use --hostname")
    return default


def _password(file: Path | None, prompt: bool, login: str) -> tuple[str, bool]:
    """And whether it was made here."""
    if file is not None and prompt:
        raise click.UsageError("choose one of --password-file and --prompt")
    if file is not None:
        return passwords.read(file), False
    if prompt:
        text: str = click.prompt(f"Password for {login}", hide_input=True, confirmation_prompt=True)
        return text, False
    return passwords.generate(), True


def _owner(user: str | None) -> tuple[int, int] | None:
    if not user:
        return None
    try:
        entry = pwd.getpwnam(user)
    except KeyError:
        hint = f"make it: useradd --system --no-create-home {user}"
        raise Refused(f"there is no account {user!r} on this machine", hint) from None
    if os.geteuid() not in (0, entry.pw_uid):
        raise Refused(f"only root can set up a server that runs as {user!r}")
    if os.geteuid() != 0:
        return None
    closed = out_of_reach(user)
    if closed is not None:
        raise Refused(f"{user!r} may not enter {closed}, which the server needs", REACHABLE)
    return entry.pw_uid, entry.pw_gid


def _work_as(owner: tuple[int, int] | None, work: Callable[[], None]) -> None:
    """In a process of its own if that becomes somebody else: we must be able to clean up after it."""
    if owner is None:
        work()
        return
    child = os.fork()
    if child == 0:
        status = REFUSED
        try:
            guarded(work)()
            status = os.EX_OK
        except click.exceptions.Exit:
            pass  # it has told why
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise click.exceptions.Exit(REFUSED)


@contextmanager
def _undone(file: Path, data: Path, folder: Path) -> Iterator[None]:
    """Leave nothing behind of a set-up that failed, and touch nothing that was there before."""
    data_is_new, folder_is_new = not data.exists(), not folder.exists()
    try:
        yield
    except FileExistsError as error:
        raise Refused(f"{error.filename} exists", "init overwrites nothing") from error
    except BaseException:
        file.unlink(missing_ok=True)
        if data_is_new:
            shutil.rmtree(data, ignore_errors=True)
        if folder_is_new and folder.exists() and not any(folder.iterdir()):
            folder.rmdir()
        raise


def _tell_account(present: int, login: str, password: str | None) -> None:
    if present:
        domains_there = "1 domain" if present == 1 else f"{present} domains"
        click.echo(f"joined    a store with {domains_there}; no account was made")
        return
    click.echo(f"account   {login} (administrator)")
    if password is not None:
        click.echo(f"password  {password}   shown only now")


def published(domain: str, hostname: str, file: Path) -> list[DnsRecord]:
    """What to publish for a domain, as the file just written serves it."""
    config = load(file)
    description = offered(config.listeners, hostname, config.autoconfig)
    return records(domain, hostname, description)


def _tell_next(
    file: Path, data: Path, domain: str, hostname: str, loopback: bool, user: str | None
) -> None:
    steps = []
    if os.geteuid() == 0 and not user:
        steps.append(
            "make an account for the server and name it as `user` in the file:\n"
            "     useradd --system --no-create-home postillon\n"
            f"     chown -R postillon: {data}"
        )
    steps.append(f"see whether all is well:  postillon check --config {file}")
    steps.append(f"start the server:         postillon serve --config {file}")
    if loopback:
        steps.append("send and read:            SMTP on 127.0.0.1:3587, IMAP on 127.0.0.1:3143")
    else:
        shown = "\n".join(f"     {record}" for record in published(domain, hostname, file))
        steps.append(
            f"publish in DNS, besides the address of {hostname} and its reverse name:\n{shown}"
        )
        steps.append("get a certificate for that name and put it into [tls] of the file")
    steps.append(f"add people:               postillon account add NAME@{domain} --config {file}")
    click.echo("\nNext:")
    for n, step in enumerate(steps, 1):
        click.echo(f"  {n}. {step}")
