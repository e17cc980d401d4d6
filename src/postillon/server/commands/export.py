"""`postillon export`: an account as mbox files, a Maildir, or plain files with a list."""

from __future__ import annotations

import time
from pathlib import Path

import click

from postillon.admin.desk import Desk
from postillon.admin.moving import operations
from postillon.admin.moving.exporting import Exported
from postillon.admin.units import format_size
from postillon.server.commands.common import REFUSED, Place, place_options
from postillon.server.commands.progress import watch
from postillon.server.commands.tables import answer, facts, visible
from postillon.store.progress import Pace


@click.command()
@click.argument("account")
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--mbox", "kind", flag_value="mbox", help="One mboxrd file for each mailbox.")
@click.option("--maildir", "kind", flag_value="maildir", help="A Maildir++, as Dovecot reads it.")
@click.option("--eml", "kind", flag_value="eml", help="Plain files in folders.")
@click.option(
    "--archive",
    "kind",
    flag_value="archive",
    default=True,
    help="Plain files, a list with everything about them, checksums; the default.",
)
@click.option("--mailbox", metavar="MAILBOX", help="Only this one and those below it.")
@place_options
def export(place: Place, account: str, target: Path, kind: str, mailbox: str | None) -> None:
    """Write an account's mail to the folder TARGET, beside the running server.

    Run again, after a kill or when more has come, it goes on behind the last message of each mailbox.
    Exit code 1 if the octets of a message are damaged; the rest is written.
    """
    under = operations.mailbox_path(mailbox) if mailbox else ()
    target = target.absolute()
    pace = Pace(watch(place.as_json, "messages"))
    began = time.monotonic()

    async def work(desk: Desk) -> Exported:
        return await operations.export_mail(desk, account, kind, target, under=under, pace=pace)

    result = place.at_desk(work)
    seconds = time.monotonic() - began
    answer(place.as_json, result, lambda: exported_text(target, result, seconds))
    if result.bad:
        raise click.exceptions.Exit(REFUSED)


def exported_text(target: Path, result: Exported, seconds: float) -> str:
    """What was written, for people; every damaged message by name."""
    lines = facts(
        [
            ("Written", f"{result.written:,} messages, {format_size(result.octets)}"),
            ("In", target),
            ("Speed", f"{result.written / max(seconds, 0.001):,.0f} messages a second"),
            ("Mailboxes", result.mailboxes),
            *([("There already", f"{result.already:,}")] if result.already else []),
            *(
                [("Keywords left out", f"{result.lost_keywords} (--archive keeps all)")]
                if result.lost_keywords
                else []
            ),
            *([("Damaged", len(result.bad))] if result.bad else []),
        ]
    )
    return "\n".join([lines, *(visible(f"  {bad.where}: {bad.why}") for bad in result.bad)])
