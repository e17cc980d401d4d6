"""Reading from a backup as from a store, without changing it, and proving that it is whole."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import apsw

from postillon.clock import system_clock
from postillon.store.backup_packs import hash_file
from postillon.store.database import close, translated
from postillon.store.manifest import BackupError, Manifest, Target
from postillon.store.migrate import SchemaError, migrate, shipped
from postillon.store.operation import (
    BlobRef,
    NewBlob,
    Steps,
    StoreStopped,
    WriteOperation,
)
from postillon.store.pack import PackReader
from postillon.store.progress import Pace
from postillon.store.sqlite import Reader

T = TypeVar("T")


class _BackupPacks(PackReader):
    """Packs under the names a manifest gives them."""

    def __init__(self, target: Target, manifest: Manifest) -> None:
        super().__init__(target.packs)
        self._files = {copy.pack: target.pack_path(copy) for copy in manifest.packs}

    def _path(self, pack: int) -> Path:
        return self._files.get(pack) or super()._path(pack)


class BackupStore:
    """A generation as a Store (store.operation) that takes no writes.

    Rows of an older schema are brought up to date in a copy that goes when this is closed.
    Raises BackupError.
    """

    def __init__(self, target: Target, manifest: Manifest) -> None:
        self.folder = target.generation(manifest)
        self.manifest = manifest
        self.packs: PackReader = _BackupPacks(target, manifest)
        self._copy: tempfile.TemporaryDirectory[str] | None = None
        path = self.folder / manifest.database.name
        newest = len(shipped())
        if manifest.schema > newest:
            raise BackupError(
                f"the backup {manifest.name} was made by a newer version of Postillon"
            )
        if manifest.schema < newest:
            path = self._migrated(path)
        self._path = path
        self._reader = self._open()
        self._apart = self._open()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="backup-read")

    def _open(self) -> Reader:
        try:
            # Immutable: SQLite then makes no files beside it and takes no locks.
            connection = apsw.Connection(
                f"file:{quote(str(self._path.absolute()))}?immutable=1",
                flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
            )
            connection.cursor().execute("PRAGMA trusted_schema = OFF")
        except apsw.Error as error:
            raise BackupError(f"{self._path} cannot be opened: {error}") from error
        return Reader(connection)

    def _migrated(self, path: Path) -> Path:
        self._copy = tempfile.TemporaryDirectory(prefix="postillon-backup-")
        copy = Path(self._copy.name) / path.name
        try:
            with path.open("rb") as source, copy.open("wb") as out:
                while piece := source.read(1 << 20):
                    out.write(piece)
            connection = apsw.Connection(str(copy))
            try:
                connection.cursor().execute("PRAGMA journal_mode = DELETE").fetchall()
                migrate(connection, system_clock)
            finally:
                close(connection)
        except (OSError, apsw.Error, SchemaError) as error:
            self._copy.cleanup()
            raise BackupError(
                f"rows of the backup cannot be brought up to date: {error}"
            ) from error
        return copy

    def read(self, steps: Steps[T]) -> T:
        return self._reader.read(steps)

    async def query(self, steps: Steps[T]) -> T:
        return self._reader.read(steps)

    async def read_apart(self, steps: Steps[T]) -> T:
        return await self.apart(self._apart.read, steps)

    async def apart(self, call: Callable[..., T], *arguments: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    def content(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        return self.packs.read(ref, start, stop)

    async def fetch(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        return self.packs.read(ref, start, stop)

    async def content_apart(self, ref: BlobRef) -> bytes:
        return await self.apart(self.packs.read, ref)

    async def fetch_together(self, wanted: Sequence[tuple[BlobRef, int]]) -> Sequence[bytes | None]:
        return [None] * len(wanted)

    async def ahead(self, refs: Sequence[BlobRef], octets: int) -> None:
        """Nothing: files are at hand."""

    async def write(self, operation: WriteOperation[T], *blobs: NewBlob) -> T:
        raise StoreStopped("a backup is only read")

    def close(self) -> None:
        self._pool.shutdown(wait=True)
        self._reader.close()
        self._apart.close()
        self.packs.close()
        if self._copy is not None:
            self._copy.cleanup()


def check_files(target: Target, manifest: Manifest, pace: Pace | None = None) -> list[str]:
    """Compare every file of a generation with its length and checksum; what is wrong, in words."""
    pace = pace or Pace()
    pace.begin("checksums", manifest.octets)
    folder = target.generation(manifest)
    parts = [(folder / copy.name, copy.octets, copy.sha256) for copy in manifest.files]
    parts.append(
        (folder / manifest.database.name, manifest.database.octets, manifest.database.sha256)
    )
    parts += [(target.pack_path(copy), copy.octets, copy.sha256) for copy in manifest.packs]
    wrong = []
    for path, octets, sha256 in parts:
        shown = path.relative_to(target.folder)
        try:
            length, found = hash_file(path, octets, pace=pace)
        except OSError as error:
            wrong.append(f"{shown} cannot be read: {error.strerror}")
            continue
        if length < octets:
            wrong.append(f"{shown} has {length} octets where {octets} are expected")
        elif found != sha256:
            wrong.append(f"{shown} is damaged: its checksum is wrong")
        pace.skip(0, 1)
    return wrong


def check_rows(target: Target, manifest: Manifest) -> list[str]:
    """What SQLite says about the rows of a generation; empty is sound."""
    path = target.generation(manifest) / manifest.database.name
    try:
        connection = apsw.Connection(
            f"file:{quote(str(path.absolute()))}?immutable=1",
            flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI,
        )
    except apsw.Error as error:
        raise translated(error) from error
    try:
        rows = connection.cursor().execute("PRAGMA integrity_check(100)").fetchall()
        problems = [str(row[0]) for row in rows]
    except apsw.Error as error:
        return [str(error)]
    finally:
        close(connection)
    return [problem for problem in problems if problem != "ok"]
