"""Backups as an administrator asks for them: make, list, check, and a data folder made again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from postillon.admin.errors import Refused
from postillon.store.backup import StateFile, back_up
from postillon.store.backup_reader import BackupStore, check_files, check_rows
from postillon.store.manifest import Manifest, Target
from postillon.store.opening import RESTORING
from postillon.store.progress import Pace
from postillon.store.restore import restore
from postillon.store.sqlite import SqliteStore
from postillon.store.verify import verify_rows

# Of the data folder: what the store copies itself, and what ends with the processes.
NOT_STATE = ("postillon.db", "postillon.db-wal", "postillon.db-shm", "packs", "run", RESTORING)


@dataclass(frozen=True, slots=True)
class Generation:
    """A complete backup. Times are ms; octets are of all its files."""

    name: str
    began_at: int
    ended_at: int
    octets: int
    accounts: int
    emails: int
    queued: int
    problems: tuple[str, ...]  # what was damaged or missing when it was made


@dataclass(frozen=True, slots=True)
class BackupMade:
    """A backup just made: octets written, octets that an older one had, generations removed."""

    generation: Generation
    copied: int
    kept: int
    removed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """What is wrong with a backup, in words; empty is sound."""

    generation: Generation
    problems: tuple[str, ...]


def data_files(data: Path) -> Iterator[StateFile]:
    """What is worth keeping in a data folder beside the store."""
    data = data.resolve()
    for path in sorted(data.rglob("*")):
        name = path.relative_to(data)
        if name.parts[0] not in NOT_STATE and path.is_file():
            yield StateFile(path, str(name))


def outer_files(data: Path, paths: Iterable[Path]) -> list[StateFile]:
    """Files outside the data folder, read now: root can, and the server's account may not."""
    data = data.resolve()
    found = []
    for path in dict.fromkeys(paths):
        if path.resolve().is_relative_to(data):
            continue
        try:
            found.append(StateFile(path, "", path.read_bytes(), path.stat().st_mode & 0o777))
        except OSError:
            found.append(StateFile(path))  # tried again, and named as a problem
    return found


async def make(
    store: SqliteStore,
    target: Path,
    files: Iterable[StateFile],
    *,
    keep: int | None = None,
    pace: Pace | None = None,
) -> BackupMade:
    """Back up an open store, beside whoever uses it. Raises BackupError or StoreError."""
    if keep is not None and keep < 1:
        raise Refused("at least one backup must be kept")
    pace = pace or Pace()
    try:
        made = await store.apart(
            lambda: back_up(
                store.folder, store.config, Target(target), files=files, keep=keep, pace=pace
            )
        )
    except asyncio.CancelledError:
        pace.stop()
        raise
    return BackupMade(_generation(made.manifest), made.copied, made.kept, made.removed)


def generations(target: Path) -> list[Generation]:
    """Complete backups in a folder, oldest first."""
    return [_generation(manifest) for manifest in Target(target).manifests()]


async def check(target: Path, name: str | None = None, pace: Pace | None = None) -> Checked:
    """Prove a backup without restoring it: every file, every row, every message.

    name: of a generation; None is the latest. Raises BackupError where there is none to look at.
    """
    pace = pace or Pace()
    place = Target(target)
    manifest = place.manifest(name)
    try:
        problems = await asyncio.to_thread(check_files, place, manifest, pace)
        damaged = await asyncio.to_thread(check_rows, place, manifest)
        problems += [f"{manifest.database.name}: {problem}" for problem in damaged]
        if not damaged:
            backup = BackupStore(place, manifest)
            try:
                found = await verify_rows(backup, pace=pace)
            finally:
                backup.close()
            problems += [f"{item.kind} {item.where}: {item.problem}" for item in found]
    except asyncio.CancelledError:
        pace.stop()
        raise
    return Checked(_generation(manifest), tuple(problems))


async def make_again(
    target: Path,
    into: Path,
    *,
    name: str | None = None,
    moved: bool = False,
    pace: Pace | None = None,
) -> Generation:
    """Fill an empty folder from a backup (store.restore). Raises BackupError."""
    pace = pace or Pace()
    place = Target(target)
    manifest = place.manifest(name)
    try:
        await asyncio.to_thread(restore, place, manifest, into, moved=moved, pace=pace)
    except asyncio.CancelledError:
        pace.stop()
        raise
    return _generation(manifest)


def _generation(manifest: Manifest) -> Generation:
    return Generation(
        manifest.name, manifest.began_at, manifest.ended_at, manifest.octets, manifest.accounts,
        manifest.emails, manifest.queued, manifest.problems,
    )  # fmt: skip
