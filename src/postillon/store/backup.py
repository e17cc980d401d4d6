"""Making a backup beside the running server: rows first, then the packs up to where rows point.

The rows are one snapshot: a read transaction held while SQLite's backup API copies the pages. All
octets a committed row names lie in its pack before the row is committed, and packs are only appended
to, so copying packs afterwards, up to the length the snapshot knows, gives every message of that
moment. A shared lock keeps the maintenance process from removing packs meanwhile (store.compact).

States of a generation, and what a crash leaves:

    .NAME     being made; the next backup removes it, and finds the octets it had copied
    NAME      complete and durable, by one rename
    .removed- past `keep`; the next backup removes the rest

A copy of a pack is never overwritten, only continued, and only after the octets it has have been
compared with the store's: a store that went back in time (a power cut, a restore) begins a new copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import apsw

from postillon import __version__
from postillon.clock import Clock, system_clock
from postillon.store.config import StoreConfig
from postillon.store.database import Execute, close, connect, page_octets, translated
from postillon.store.manifest import (
    DATABASE,
    PIECE,
    BackupError,
    FileCopy,
    Manifest,
    PackCopy,
    Target,
    make_private,
    sync_folder,
    sync_tree,
    write_manifest,
)
from postillon.store.opening import backup_lock_of, packs_of
from postillon.store.pack import BLOB_TABLES, RETIRED, SEALED, pack_path
from postillon.store.progress import Pace

PAGES = 512  # pages of the database copied at once: 1 MB or 2
BLOCK = 4096  # octets of the source that are given up when the disk cannot read them
ENDS = 65_536  # octets at both ends of a sealed pack that are compared before its copy is kept


Pread = Callable[[int, int, int], bytes]


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
        copier = _PackCopier(packs_of(data), target, pace)
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


# Packs


class _PackCopier:
    """pread: of the source; a test gives one that fails."""

    def __init__(self, source: Path, target: Target, pace: Pace, pread: Pread = os.pread) -> None:
        self._pread = pread
        self.copied = self.kept = 0
        self.problems: list[str] = []
        self._source, self._target, self._pace = source, target, pace
        self._known: dict[int, dict[str, PackCopy]] = {}  # by pack and file, the longest
        for manifest in target.manifests():
            for copy in manifest.packs:
                files = self._known.setdefault(copy.pack, {})
                if copy.file not in files or files[copy.file].octets < copy.octets:
                    files[copy.file] = copy
        self._names = {file for files in self._known.values() for file in files}

    def copy_all(self, packs: Sequence[tuple[int, bool, int]]) -> tuple[PackCopy, ...]:
        self._pace.begin("message octets", sum(octets for _, _, octets in packs))
        done = []
        for pack, sealed, octets in packs:
            copy = self._copy(pack, sealed, octets)
            if copy is not None:
                done.append(copy)
            self._pace.step(0, 1)
        return tuple(done)

    def _copy(self, pack: int, sealed: bool, octets: int) -> PackCopy | None:
        try:
            fd = os.open(pack_path(self._source, pack), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.problems.append(f"pack {pack} is missing")
            return None
        try:
            there = os.fstat(fd).st_size
            if there < octets:
                self.problems.append(f"pack {pack} has {there} octets where {octets} are expected")
                octets = there
            return self._continue(fd, pack, sealed, octets) or self._begin(fd, pack, sealed, octets)
        finally:
            os.close(fd)

    def _continue(self, fd: int, pack: int, sealed: bool, octets: int) -> PackCopy | None:
        """Keep a copy that is the same so far, and append what is missing."""
        for known in self._known.get(pack, {}).values():
            path = self._target.pack_path(known)
            if known.octets > octets or not path.exists() or path.stat().st_size < known.octets:
                continue
            if known.sealed and sealed and known.octets == octets:
                if not _same_ends(fd, path, octets):
                    continue
                self._pace.skip(octets)
                self.kept += octets
                return known
            digest = hashlib.sha256()
            _hash(fd, known.octets, digest, self._pace)
            if digest.hexdigest() != known.sha256:
                continue
            self.kept += known.octets
            self._write(fd, path, known.octets, octets, digest)
            return PackCopy(pack, known.file, octets, digest.hexdigest(), sealed)
        return None

    def _begin(self, fd: int, pack: int, sealed: bool, octets: int) -> PackCopy:
        number, name = 1, f"{pack:010d}.pack"
        while name in self._names:
            number += 1
            name = f"{pack:010d}-{number}.pack"
        digest = hashlib.sha256()
        self._write(fd, self._target.packs / name, 0, octets, digest)
        return PackCopy(pack, name, octets, digest.hexdigest(), sealed)

    def _write(self, fd: int, path: Path, start: int, stop: int, digest: hashlib._Hash) -> None:
        """Copy a range; what a killed backup has left there already is compared, not written."""
        if start == stop:
            return
        out = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            offset = start
            while offset < stop:
                piece = self._read(fd, min(PIECE, stop - offset), offset, path.name)
                digest.update(piece)
                if os.pread(out, len(piece), offset) != piece:
                    _write_all(out, piece, offset)
                    self.copied += len(piece)
                offset += len(piece)
                self._pace.step(len(piece))
            os.ftruncate(out, stop)
            os.fsync(out)
        finally:
            os.close(out)

    def _read(self, fd: int, octets: int, offset: int, name: str) -> bytes:
        """A piece of a pack. Where the disk cannot read, zeros and a problem: the rest is worth it."""
        try:
            piece = self._pread(fd, octets, offset)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            if octets <= BLOCK:
                self.problems.append(f"{name} cannot be read at offset {offset}")
                return bytes(octets)
            rest = BLOCK - offset % BLOCK  # up to the next block of the disk
            return self._read(fd, min(rest, octets), offset, name)
        if not piece:
            raise BackupError(f"{name} became shorter while it was copied")
        return piece


def _same_ends(fd: int, path: Path, octets: int) -> bool:
    copy = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return all(
            os.pread(fd, min(ENDS, octets), start) == os.pread(copy, min(ENDS, octets), start)
            for start in (0, max(octets - ENDS, 0))
        )
    finally:
        os.close(copy)


def _write_all(fd: int, octets: bytes, offset: int) -> None:
    view = memoryview(octets)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _hash(fd: int, octets: int, digest: hashlib._Hash, pace: Pace) -> None:
    offset = 0
    while offset < octets and (piece := os.pread(fd, min(PIECE, octets - offset), offset)):
        digest.update(piece)
        offset += len(piece)
        pace.step(len(piece))


def hash_file(
    path: Path, octets: int | None = None, *, sync: bool = False, pace: Pace | None = None
) -> tuple[int, str]:
    """Length and SHA-256 of a file or its first `octets`. sync: make it durable too."""
    digest = hashlib.sha256()
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = os.fstat(fd).st_size
        length = size if octets is None else min(octets, size)
        _hash(fd, length, digest, pace or Pace())
        if sync:
            os.fsync(fd)
    finally:
        os.close(fd)
    return length, digest.hexdigest()


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
