"""`postillon restore`: a whole server from a backup, or an account, a mailbox, a message."""

from __future__ import annotations

import time
from pathlib import Path

import click

from postillon.admin import backup as backups
from postillon.admin.desk import Desk
from postillon.admin.moving import operations
from postillon.admin.moving.exporting import Exported, export
from postillon.admin.moving.importing import Imported
from postillon.admin.moving.operations import BackupView, Found, open_backup
from postillon.admin.units import format_size
from postillon.protocol.imap import names
from postillon.server import config
from postillon.server.commands.backup import generation_facts
from postillon.server.commands.common import REFUSED, Place, become_owner, place_options
from postillon.server.commands.export import exported_text
from postillon.server.commands.import_ import imported_text
from postillon.server.commands.progress import watch
from postillon.server.commands.tables import answer, facts, table, when
from postillon.server.loop import run
from postillon.store.progress import Pace
from postillon.store.restore import ELSEWHERE

KINDS = ["eml", "mbox", "maildir", "archive"]


@click.command()
@click.argument("backup", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--generation", metavar="NAME", help="Which backup; default: the latest.")
@click.option(
    "--into", type=click.Path(path_type=Path), help="Restore everything into this empty folder."
)
@click.option(
    "--moved",
    is_flag=True,
    help="With --into: the server took nothing after this backup; keep UIDs, let the queue go on.",
)
@click.option("--account", metavar="LOGIN", help="Restore mail of this account.")
@click.option("--mailbox", metavar="MAILBOX", help="Only this mailbox and those below it.")
@click.option(
    "--message", "messages", multiple=True, metavar="ID", help="Only this id or Message-ID."
)
@click.option("--list", "listed", is_flag=True, help="List the messages of the account instead.")
@click.option("--match", default="", help="With --list: only where sender or subject hold this.")
@click.option("--limit", default=100, show_default=True, help="With --list: messages at most.")
@click.option("--to", "login", metavar="LOGIN", default="", help="Put it into another account.")
@click.option("--below", metavar="MAILBOX", help='Mailbox it comes below; "Restored DAY".')
@click.option(
    "--out", type=click.Path(path_type=Path), help="Write it to this folder and to no account."
)
@click.option("--format", "kind", type=click.Choice(KINDS), default="eml", show_default=True)
@place_options
def restore(
    place: Place,
    backup: Path,
    generation: str | None,
    into: Path | None,
    moved: bool,
    account: str | None,
    mailbox: str | None,
    messages: tuple[str, ...],
    listed: bool,
    match: str,
    limit: int,
    login: str,
    below: str | None,
    out: Path | None,
    kind: str,
) -> None:
    """Restore from the folder BACKUP. Nothing is ever overwritten.

    Everything, into an empty folder (--into). Or an account, a mailbox or a message, beside the
    running server: into a mailbox "Restored DAY" of the account, or to a folder on disk (--out).
    """
    if (into is None) == (account is None):
        raise click.UsageError("say --into FOLDER for everything, or --account LOGIN")
    if into is not None:
        _everything(place, backup, generation, into.absolute(), moved)
        return
    if moved:
        raise click.UsageError("--moved belongs to --into")
    assert account is not None
    under = operations.mailbox_path(mailbox) if mailbox else ()
    side = operations.mailbox_path(below) if below else ()
    pace = Pace(watch(place.as_json, "messages"))
    if listed:
        found = run(_list(backup, generation, account, under, match, limit))
        answer(place.as_json, found, lambda: _table(found))
    elif out is not None:
        _to_disk(place, (backup, generation, account), under, messages, out.absolute(), kind, pace)
    else:
        _to_account(place, (backup, generation, account), under, messages, login, side, pace)


def _everything(
    place: Place, backup: Path, generation: str | None, into: Path, moved: bool
) -> None:
    if into.is_dir():
        become_owner(into)
    pace = Pace(watch(place.as_json, "files"))
    done = run(backups.make_again(backup, into, name=generation, moved=moved, pace=pace))
    if (into / config.NAME).exists():  # a folder that has its configuration inside
        hints = [f"Next: postillon verify --data {into}"]
    else:
        hints = [
            f"Configuration and certificates from outside the data folder: {into / ELSEWHERE}",
            f'Set data = "{into}" in [server], then: postillon verify, postillon serve',
        ]
    if done.queued and not moved:
        hints.append(
            f"{done.queued} queued messages are held, as they may have been sent since:"
            " postillon queue list, postillon queue release"
        )
    text = [facts([*generation_facts(done), ("Restored to", into)]), "", *hints]
    answer(place.as_json, done, lambda: "\n".join(text))


async def _list(
    backup: Path,
    generation: str | None,
    account: str,
    under: tuple[str, ...],
    match: str,
    limit: int,
) -> list[Found]:
    async with open_backup(backup, account, generation) as view:
        return await view.list(under, match, limit)


Origin = tuple[Path, str | None, str]  # backup, generation, account


def _to_account(
    place: Place,
    origin: Origin,
    under: tuple[str, ...],
    messages: tuple[str, ...],
    login: str,
    side: tuple[str, ...],
    pace: Pace,
) -> None:
    backup, generation, account = origin
    began = time.monotonic()

    async def work(desk: Desk) -> tuple[BackupView, Imported]:
        async with open_backup(backup, account, generation) as view:
            source = await view.source(under, messages)
            return view, await operations.restore_mail(
                desk, view, source, login=login, side=side, pace=pace
            )

    view, result = place.at_desk(work)
    where = names.text_of(side or view.side)
    head = facts([("Restored below", where), ("Of account", login or view.login)])
    seconds = time.monotonic() - began
    answer(place.as_json, result, lambda: f"{head}\n{imported_text(result, seconds)}")
    if result.bad_count or not result.placed + result.already:
        raise click.exceptions.Exit(REFUSED)


def _to_disk(
    place: Place,
    origin: Origin,
    under: tuple[str, ...],
    messages: tuple[str, ...],
    out: Path,
    kind: str,
    pace: Pace,
) -> None:
    backup, generation, account = origin
    began = time.monotonic()

    async def work() -> Exported:
        async with open_backup(backup, account, generation) as view:
            source = await view.source(under, messages)
            return await export(source, view.login, kind, out, pace=pace)

    result = run(work())
    seconds = time.monotonic() - began
    answer(place.as_json, result, lambda: exported_text(out, result, seconds))
    if result.bad or not result.written + result.already:
        raise click.exceptions.Exit(REFUSED)


def _table(found: list[Found]) -> str:
    columns = [
        ("ID", lambda item: item.id),
        ("Mailbox", lambda item: item.mailbox),
        ("Received", lambda item: when(item.received_at)),
        ("Size", lambda item: format_size(item.size)),
        ("From", lambda item: item.sender),
        ("Subject", lambda item: item.subject),
    ]
    return table(found, columns, "no message in the backup is like that")
