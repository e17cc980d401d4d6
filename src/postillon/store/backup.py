"""Making a backup beside the running server: rows first, then the packs up to where rows point.

The rows are one snapshot: a read transaction held while SQLite's backup API copies the pages. All
octets a committed row names lie in its pack before the row is committed, and packs are only appended
to, so copying packs afterwards, up to the length the snapshot knows, gives every message of that
moment. A shared lock keeps the maintenance process from removing packs meanwhile (store.compact).

States of a generation, and what a crash leaves:

    .NAME     being made; the next backup removes it, and finds the octets it had copied
    NAME      complete and durable, by one rename
    .removed- past `keep`; the next backup removes the rest
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import apsw

from postillon import __version__
from postillon.clock import Clock, system_clock
from postillon.store.backup_packs import PackCopier, hash_file
from postillon.store.config import StoreConfig
from postillon.store.database import Execute, close, connect, page_octets, translated
from postillon.store.manifest import (
    DATABASE,
    BackupError,
    FileCopy,
    Manifest,
    Target,
    make_private,
    sync_folder,
    sync_tree,
    write_manifest,
)
from postillon.store.opening import backup_lock_of, packs_of
from postillon.store.pack import BLOB_TABLES, RETIRED, SEALED
from postillon.store.progress import Pace

PAGES = 512  # pages of the database copied at once: 1 MB or 2


@dataclass(frozen=True, slots=True)
class StateFile:
    """A file to keep beside the store.

    inside: its path in the data folder; "" if it lies elsewhere. octets, mode: of one that was read
    already, because whoever makes the backup may not read it.
    """

    path: Path
    inside: str = ""
    octets: bytes | None = None
    mode: int = 0o600


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the rows said at the moment of the backup: packs as (number, sealed, octets)."""

    packs: list[tuple[int, bool, int]]
    schema: int
    accounts: int
    emails: int
    queued: int


@dataclass(frozen=True, slots=True)
class Made:
    """A finished backup. copied: octets written; kept: octets of packs that were there already."""

    manifest: Manifest
    copied: int
    kept: int
    removed: tuple[str, ...]  # older generations


def back_up(
    data: Path,
    config: StoreConfig,
    target: Target,
    *,
    files: Iterable[StateFile] = (),
    keep: int | None = None,
    pace: Pace | None = None,
    clock: Clock = system_clock,
) -> Made:
    """Make a new generation. keep: generations that stay, this one included; None is all.

    Blocks, for a thread of its own or a process of its own. Raises BackupError or StoreError; what was
    complete before is then untouched.
    """
    data = data.resolve()
    if target.folder.resolve().is_relative_to(data):
        raise BackupError("a backup cannot lie in the data folder it is made of")
    target.make()
    pace = pace or Pace()
    lock = target.lock()
    packs_stay = backup_lock_of(data)
    try:
        target.sweep_generations()
        packs_stay.share()
        began_at = clock()
        name = _name(target, began_at)
        making = target.generations / f".{name}"
        making.mkdir(mode=0o700)
        snapshot, database = _copy_rows(data, config, making, pace)
        copier = PackCopier(packs_of(data), target, pace)
        packs = copier.copy_all(snapshot.packs)
        packs_stay.release()
        kept_files, problems = _copy_files(files, making)
        manifest = Manifest(
            product=f"postillon {__version__}", name=name, began_at=began_at, ended_at=clock(),
            schema=snapshot.schema, data=str(data), accounts=snapshot.accounts,
            emails=snapshot.emails, queued=snapshot.queued, database=database, packs=packs,
            files=kept_files, problems=(*copier.problems, *problems),
        )  # fmt: skip
        write_manifest(making, manifest)
        sync_folder(target.packs)
        sync_tree(making)
        os.rename(making, target.generations / name)
        sync_folder(target.generations)
        removed = _forget(target, keep)
    except OSError as error:
        raise BackupError(f"the backup was not made: {error}") from error
    finally:
        packs_stay.close()
        lock.close()
    copied = copier.copied + database.octets + sum(item.octets for item in kept_files)
    return Made(manifest, copied, copier.kept, tuple(removed))


def _name(target: Target, at: int) -> str:
    """The moment, with a number behind it for the second one of the same second."""
    base = datetime.fromtimestamp(at // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    taken = target.names()
    number, name = 1, base
    while name in taken:
        number += 1
        name = f"{base}-{number}"
    return name


def _forget(target: Target, keep: int | None) -> list[str]:
    names = target.names()
    doomed = [] if keep is None else names[: max(len(names) - max(keep, 1), 0)]
    for name in doomed:
        target.remove(name)
    target.sweep_packs()
    return doomed


# Rows


def _copy_rows(
    data: Path, config: StoreConfig, making: Path, pace: Pace
) -> tuple[Snapshot, FileCopy]:
    path = making / DATABASE
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    source = connect(data, replace(config, mapped=0), writes=False)  # every page is read but once
    copy = apsw.Connection(str(path))
    try:
        execute: Execute = source.cursor().execute
        execute("BEGIN")  # one snapshot, so that other writers do not make the copy begin again
        snapshot = _snapshot(execute)
        [(pages,)] = execute("PRAGMA page_count").fetchall()
        page = page_octets(execute)
        pace.begin("database", pages * page)
        copy.cursor().execute("PRAGMA synchronous = OFF")
        with copy.backup("main", source, "main") as backup:
            left = pages
            while not backup.done:
                backup.step(PAGES)
                pace.step(max(left - backup.remaining, 0) * page)
                left = backup.remaining
        execute("COMMIT")
    except apsw.Error as error:
        raise translated(error) from error
    finally:
        close(copy)
        close(source)
    octets, digest = hash_file(path, sync=True)
    return snapshot, FileCopy(DATABASE, str(data / DATABASE), octets, digest, inside=DATABASE)


def _snapshot(execute: Execute) -> Snapshot:
    named = " UNION ".join(f"SELECT DISTINCT pack FROM {table}" for table in BLOB_TABLES)  # noqa: S608
    packs = execute(
        f"SELECT pack, state, size FROM pack WHERE state <> ? OR pack IN ({named}) ORDER BY pack",  # noqa: S608
        (RETIRED,),
    ).fetchall()
    [(schema,)] = execute("SELECT max(number) FROM migration").fetchall()
    [(accounts, emails)] = execute(
        "SELECT count(*), coalesce(sum(emails), 0) FROM account"
    ).fetchall()
    [(queued,)] = execute("SELECT count(*) FROM queue_message").fetchall()
    return Snapshot(
        [(row[0], row[1] in (SEALED, RETIRED), row[2]) for row in packs],
        schema, accounts, emails, queued,
    )  # fmt: skip


# Everything else


def _copy_files(
    files: Iterable[StateFile], making: Path
) -> tuple[tuple[FileCopy, ...], tuple[str, ...]]:
    """Small files, with their modes; what cannot be read is a problem and stops nothing."""
    copies, problems = [], []
    for item in files:
        area = "data" if item.inside else "elsewhere"
        name = f"files/{area}/{item.inside or str(item.path.absolute()).lstrip('/')}"
        try:
            octets, mode = item.octets, item.mode
            if octets is None:
                octets = item.path.read_bytes()
                mode = item.path.stat().st_mode & 0o777
        except OSError as error:
            problems.append(f"{item.path} cannot be read: {error.strerror}")
            continue
        path = making / name
        make_private(path.parent)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(octets)
            file.flush()
            os.fsync(file.fileno())
        copies.append(
            FileCopy(
                name,
                str(item.path.absolute()),
                len(octets),
                hashlib.sha256(octets).hexdigest(),
                mode,
                item.inside,
            )
        )
    return tuple(copies), tuple(problems)
