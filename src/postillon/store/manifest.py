"""A folder of backups: what lies where, and what a generation consists of.

    TARGET/lock                              held by the one who writes
    TARGET/packs/0000000001.pack             octets, shared by all generations; only ever appended to
    TARGET/generations/20261125T101500Z/     one complete backup
        manifest.json                        all its files with length and SHA-256
        manifest.sha256                      for `sha256sum -c`
        postillon.db                         the rows
        files/...                            other state, configuration, certificates

A generation is made under a name that begins with a dot and renamed when all of it is durable: what has
its name is complete. A pack in the target may be longer than a generation needs: its manifest says how
many octets of the file are its own.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from postillon.store.operation import StoreError
from postillon.store.slots import FileLock

FORMAT = 1
MANIFEST = "manifest.json"
CHECKSUM = "manifest.sha256"
DATABASE = "postillon.db"
PIECE = 1 << 20  # octets copied and hashed at once
MAX_MANIFEST = 64 << 20  # octets; 100,000 packs need 20 MB


class BackupError(StoreError):
    """A backup that cannot be made or used; the text says why, for a human."""


class FileCopy(msgspec.Struct, frozen=True):
    """A file of a generation. `name` is relative to its folder; `origin` is where it lay."""

    name: str
    origin: str
    octets: int
    sha256: str
    mode: int = 0o600
    inside: str = ""  # path in the data folder; "" for what lay outside of it


class PackCopy(msgspec.Struct, frozen=True):
    """The first `octets` of a file in `packs`, with their SHA-256."""

    pack: int
    file: str
    octets: int
    sha256: str
    sealed: bool  # nothing will be appended to it in the store


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A generation. Times are milliseconds since 1970 UTC."""

    format: int = FORMAT
    product: str
    name: str
    began_at: int  # what was acknowledged before is in it
    ended_at: int
    schema: int  # number of the last migration
    data: str  # the data folder it was made of
    accounts: int
    emails: int
    queued: int  # messages in the queue
    database: FileCopy
    packs: tuple[PackCopy, ...]
    files: tuple[FileCopy, ...]
    problems: tuple[str, ...] = ()  # what was not there or could not be read

    @property
    def octets(self) -> int:
        files = (self.database, *self.files)
        return sum(item.octets for item in files) + sum(item.octets for item in self.packs)


class Target:
    """A folder of backups, opened by whoever makes, checks or reads one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.packs = folder / "packs"
        self.generations = folder / "generations"

    def make(self) -> None:
        """Make the folders. Raises BackupError for a folder that holds something else."""
        if self.folder.is_dir() and not self.generations.is_dir():
            strange = [path.name for path in self.folder.iterdir() if path.name not in OURS]
            if strange:
                raise BackupError(
                    f"{self.folder} holds other files ({strange[0]}); give a folder of its own"
                )
        for path in (self.packs, self.generations):
            make_private(path)

    def lock(self) -> FileLock:
        """Raises BackupError while somebody else has it."""
        lock = FileLock(self.folder / "lock")
        if not lock.try_acquire():
            lock.close()
            raise BackupError(f"another process is writing to {self.folder}")
        return lock

    def names(self) -> list[str]:
        """Complete generations, oldest first."""
        if not self.generations.is_dir():
            return []
        return sorted(
            path.name
            for path in self.generations.iterdir()
            if not path.name.startswith(".") and (path / MANIFEST).exists()
        )

    def manifest(self, name: str | None = None) -> Manifest:
        """Of a generation; None is the latest. Raises BackupError."""
        names = self.names()
        if not names:
            raise BackupError(f"there is no complete backup in {self.folder}")
        if name is None:
            name = names[-1]
        if name not in names:
            raise BackupError(f"there is no backup {name} in {self.folder}; there are {names}")
        return read_manifest(self.generations / name)

    def manifests(self) -> Iterator[Manifest]:
        """All that can be read, oldest first."""
        for name in self.names():
            try:
                yield read_manifest(self.generations / name)
            except BackupError:
                continue

    def generation(self, manifest: Manifest) -> Path:
        return self.generations / manifest.name

    def pack_path(self, copy: PackCopy) -> Path:
        return self.packs / copy.file

    def remove(self, name: str) -> None:
        """Remove a generation; it stops being complete at once. Packs stay."""
        doomed = self.generations / f".removed-{name}"
        os.rename(self.generations / name, doomed)
        sync_folder(self.generations)
        shutil.rmtree(doomed)

    def sweep_generations(self) -> None:
        """Remove unfinished and half-removed generations. Only under the lock."""
        for path in self.generations.glob(".*"):
            shutil.rmtree(path)

    def sweep_packs(self) -> None:
        """Remove packs that no generation names. Only under the lock."""
        manifests = list(self.manifests())
        if len(manifests) < len(self.names()):
            return  # a manifest that cannot be read may name any pack
        named = {copy.file for manifest in manifests for copy in manifest.packs}
        for path in self.packs.iterdir():
            if path.name not in named:
                path.unlink()


OURS = frozenset({"lock", "packs", "generations", "lost+found"})


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write manifest and checksum, durable."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n"
    write_durably(folder / MANIFEST, text)
    checksum = f"{hashlib.sha256(text).hexdigest()}  {MANIFEST}\n"
    write_durably(folder / CHECKSUM, checksum.encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises BackupError."""
    try:
        if (folder / MANIFEST).stat().st_size > MAX_MANIFEST:
            raise BackupError(f"{folder / MANIFEST} is too large")
        text = (folder / MANIFEST).read_bytes()
        checksum = (folder / CHECKSUM).read_text("ascii", "replace").partition(" ")[0]
    except OSError as error:
        raise BackupError(f"{error.filename} cannot be read: {error.strerror}") from error
    if hashlib.sha256(text).hexdigest() != checksum:
        raise BackupError(f"{folder / MANIFEST} is damaged: its checksum is wrong")
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BackupError(f"{folder / MANIFEST} cannot be read: {error}") from error
    if manifest.format != FORMAT:
        raise BackupError(f"{folder / MANIFEST} was made by another version of Postillon")
    for copy in (*manifest.files, manifest.database):
        if not _is_below(copy.name) or not _is_below(copy.inside or "x"):
            raise BackupError(f"{folder / MANIFEST} names a file outside of it: {copy.name}")
    return manifest


def _is_below(name: str) -> bool:
    path = Path(name)
    return not path.is_absolute() and ".." not in path.parts


def make_private(folder: Path) -> None:
    """Make a folder and those above it, for their owner only."""
    for path in reversed([folder, *folder.parents]):
        if not path.is_dir():
            path.mkdir(mode=0o700, exist_ok=True)


def write_durably(path: Path, octets: bytes, mode: int = 0o600) -> None:
    """A new file, durable; its name is not yet."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_tree(folder: Path) -> None:
    """Make the names in a folder and all below it durable."""
    for path, _, _ in os.walk(folder):
        sync_folder(Path(path))
