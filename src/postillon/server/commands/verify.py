"""`postillon verify`: rows, counters, indexes and message octets proved against each other."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from postillon.server.commands.common import REFUSED, Place, at_database, place_options
from postillon.server.commands.progress import watch
from postillon.server.commands.tables import answer, table, visible
from postillon.store.backup_reader import BackupStore
from postillon.store.manifest import Target
from postillon.store.progress import Pace
from postillon.store.repair import repair
from postillon.store.verify import Finding
from postillon.store.verify import verify as verify_store

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore


@click.command()
@click.option("--quick", is_flag=True, help="Rows and counters only; do not read the messages.")
@click.option("--repair", "mend", is_flag=True, help="Mend what can be mended.")
@click.option(
    "--backup",
    "backups",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="With --repair: take lost rows and damaged messages from a backup folder. May be given again.",
)
@place_options
def verify(place: Place, quick: bool, mend: bool, backups: tuple[Path, ...]) -> None:
    """Prove rows, counters, indexes and message octets against each other.

    The server may run meanwhile. Nothing is changed without --repair. Exit code 0 when all is sound
    or mended, 1 when something is not.
    """
    if backups and not mend:
        raise click.UsageError("--backup belongs to --repair")
    config = place.configuration()
    pace = Pace(watch(place.as_json, "done"))

    async def work(store: AnyStore) -> list[Finding]:
        if not mend:
            return await verify_store(store, octets=not quick, pace=pace)
        with ExitStack() as stack:
            others = []
            for folder in backups:
                target = Target(folder)
                for manifest in reversed(list(target.manifests())):
                    backup = BackupStore(target, manifest)
                    stack.callback(backup.close)
                    others.append(backup)
            return await repair(store, octets=not quick, others=others, pace=pace)

    findings = at_database(config, work)
    rows = [
        {"kind": f.kind, "where": f.where, "problem": f.problem, "mended": f.mended}
        for f in findings
    ]
    columns = [
        ("Kind", lambda row: row["kind"]),
        ("Where", lambda row: visible(str(row["where"]))),
        ("Problem", lambda row: visible(str(row["problem"]))),
        *([("Mended", lambda row: row["mended"])] if mend else []),
    ]
    sound = f"{config.server.data}: all is sound"
    answer(place.as_json, rows, lambda: table(rows, columns, sound))
    if not all(finding.mended for finding in findings):
        raise click.exceptions.Exit(REFUSED)
