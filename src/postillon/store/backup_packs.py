"""Copying packs into a backup: what is there is compared, what is missing is appended.

A copy of a pack is never overwritten, only continued, and only after the octets it has have been
compared with the store's: a store that went back in time (a power cut, a restore) begins a new copy.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from postillon.store.manifest import PIECE, BackupError, PackCopy, Target
from postillon.store.pack import pack_path
from postillon.store.progress import Pace

BLOCK = 4096  # octets of the source that are given up when the disk cannot read them
ENDS = 65_536  # octets at both ends of a sealed pack that are compared before its copy is kept

Pread = Callable[[int, int, int], bytes]


class PackCopier:
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
