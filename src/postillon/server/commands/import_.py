"""`postillon import`: mail from mbox files, Maildirs and exports, into an account."""

from __future__ import annotations

import time
from pathlib import Path

import click

from postillon.admin.desk import Desk
from postillon.admin.moving import operations
from postillon.admin.moving.importing import Imported
from postillon.admin.units import format_size
from postillon.mail.mbox import Variant
from postillon.server.commands.common import Place, place_options
from postillon.server.commands.progress import watch
from postillon.server.commands.tables import answer, facts, visible
from postillon.store.progress import Pace

VARIANTS = [variant.value for variant in Variant]


@click.command("import")
@click.argument("account")
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--format",
    "kind",
    type=click.Choice(["auto", "mbox", "maildir", "archive"]),
    default="auto",
    help="What SOURCE is; default: look at it.",
)
@click.option(
    "--variant",
    type=click.Choice(VARIANTS),
    default=Variant.AUTO.value,
    help="Quoting of an mbox; default: find out.",
)
@click.option("--into", metavar="MAILBOX", help="Put folders below this mailbox, a file into it.")
@click.option("--skip-bad", is_flag=True, help="Go on without what cannot be read, and name it.")
@place_options
def import_(
    place: Place,
    account: str,
    source: Path,
    kind: str,
    variant: str,
    into: str | None,
    skip_bad: bool,
) -> None:
    """Import an mbox, a tree of them, a Maildir or an export, with folders, flags and dates.

    The server may run meanwhile. Run again, after a kill or when more has come, it goes on and
    doubles nothing.
    """
    under = operations.mailbox_path(into) if into else ()
    opened = operations.open_source(
        source, variant=Variant(variant), kind=kind, nameless=into is not None
    )
    pace = Pace(watch(place.as_json, "messages"))
    began = time.monotonic()

    async def work(desk: Desk) -> Imported:
        return await operations.import_mail(
            desk, account, opened, under=under, skip_bad=skip_bad, pace=pace
        )

    result = place.at_desk(work)
    seconds = time.monotonic() - began
    answer(place.as_json, result, lambda: imported_text(result, seconds))


def imported_text(result: Imported, seconds: float) -> str:
    """What became of a source, for people; every message left out by name."""
    lines = facts(
        [
            ("Imported", f"{result.placed:,} messages, {format_size(result.octets)}"),
            (
                "Speed",
                f"{(result.placed + result.already) / max(seconds, 0.001):,.0f} messages a second",
            ),
            *([("There already", f"{result.already:,}")] if result.already else []),
            *([("Mailboxes made", result.mailboxes)] if result.mailboxes else []),
            *(
                [("Keywords left out", result.keywords_left_out)]
                if result.keywords_left_out
                else []
            ),
            *([("Left out", f"{result.bad_count:,}")] if result.bad_count else []),
        ]
    )
    return "\n".join([lines, *(visible(f"  {bad.where}: {bad.why}") for bad in result.bad)])
