"""`postillon backup`: a consistent copy of everything, beside the running server."""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import click

from postillon.admin import backup as backups
from postillon.admin.backup import BackupMade, Checked, Generation
from postillon.admin.units import format_size
from postillon.server.commands.common import REFUSED, Place, at_files, place_options, refuse
from postillon.server.commands.progress import rate_of, watch
from postillon.server.commands.tables import answer, facts, table, visible, when
from postillon.server.config import Configuration, find
from postillon.server.loop import run
from postillon.server.sections import ListenerConfig
from postillon.store.progress import Pace

NICENESS = 10  # the server goes first


@click.command()
@click.argument("target", type=click.Path(path_type=Path, file_okay=False))
@click.option("--keep", type=click.IntRange(min=1), help="Keep so many backups; default: all.")
@click.option("--rate", metavar="SIZE", help='Copy at most so much a second, e.g. "50 MiB".')
@click.option("--list", "listed", is_flag=True, help="List the backups in TARGET.")
@click.option("--check", "checked", is_flag=True, help="Prove a backup without restoring it.")
@click.option("--generation", metavar="NAME", help="Which one to check; default: the latest.")
@place_options
def backup(
    place: Place,
    target: Path,
    keep: int | None,
    rate: str | None,
    listed: bool,
    checked: bool,
    generation: str | None,
) -> None:
    """Back up everything into the folder TARGET, beside the running server.

    All that was acknowledged when it began is in it. Further backups into the same folder copy only
    what is new. Exit code 1 if something of the store was damaged or missing; the backup then holds
    the rest.
    """
    if listed:
        found = backups.generations(target)
        answer(place.as_json, found, lambda: _table(found))
        return
    pace = Pace(watch(place.as_json, "done" if checked else "files"), rate_of(rate))
    if checked:
        result = run(backups.check(target, generation, pace))
        answer(place.as_json, result, lambda: _verdict(target, result))
        if result.problems:
            raise click.exceptions.Exit(REFUSED)
        return
    made = _make(place, target, keep, pace)
    answer(place.as_json, made, lambda: _made(target, made))
    for problem in made.generation.problems:
        refuse(problem)
    if made.generation.problems:
        raise click.exceptions.Exit(REFUSED)


def _make(place: Place, target: Path, keep: int | None, pace: Pace) -> BackupMade:
    config_file = find(place.config, place.data)
    config = place.configuration()
    target = target.absolute()
    os.nice(NICENESS)
    outer = backups.outer_files(config.server.data, [config_file.absolute(), *named_files(config)])
    files = itertools.chain(backups.data_files(config.server.data), outer)
    return at_files(config, lambda store: backups.make(store, target, files, keep=keep, pace=pace))


def named_files(config: Configuration) -> Iterator[Path]:
    """Files that a configuration points to: certificates, keys, secrets; also those not there.

    What lies in /run is handed in at every start and has its home elsewhere.
    """
    for value in _values(config):
        if not isinstance(value, Path) or value in (Path(), config.server.data):
            continue
        if not value.is_dir() and not value.is_relative_to("/run"):
            yield value


def _values(value: object) -> Iterator[object]:
    if isinstance(value, ListenerConfig):
        return  # its path is a socket
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for item in dataclasses.fields(value):
            yield from _values(getattr(value, item.name))
    elif isinstance(value, tuple | list):
        for one in value:
            yield from _values(one)
    elif isinstance(value, dict):
        yield from _values(list(value.values()))
    else:
        yield value


def generation_facts(item: Generation) -> list[tuple[str, object]]:
    return [
        ("Backup", item.name),
        ("Of", when(item.began_at)),
        ("Size", format_size(item.octets)),
        ("Accounts", item.accounts),
        ("Emails", item.emails),
        ("Queued", item.queued),
    ]


def _made(target: Path, made: BackupMade) -> str:
    return facts(
        [
            *generation_facts(made.generation),
            ("In", target),
            ("Copied", format_size(made.copied)),
            ("Had already", format_size(made.kept)),
            *([("Removed", made.removed)] if made.removed else []),
        ]
    )


def _verdict(target: Path, result: Checked) -> str:
    lines = [visible(problem) for problem in result.problems]
    if not lines:
        lines = [f"{target}: {result.generation.name} is sound"]
    return "\n".join(lines)


def _table(found: list[Generation]) -> str:
    columns = [
        ("Name", lambda item: item.name),
        ("Of", lambda item: when(item.began_at)),
        ("Size", lambda item: format_size(item.octets)),
        ("Accounts", lambda item: item.accounts),
        ("Emails", lambda item: item.emails),
        ("Queued", lambda item: item.queued),
        ("Problems", lambda item: len(item.problems)),
    ]
    return table(found, columns, "there is no complete backup")
