"""Disks that fail at one step: the n-th change of a file, by the store or by SQLite."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apsw

from postillon.store.files import Buffer, OsFiles


class Fault:
    """Counts steps from 1 and fails `times` of them from step `at` on; `failed` says which."""

    def __init__(self, at: int, error: int = errno.EIO, times: int = 1) -> None:
        self.at, self.error, self.times = at, error, times
        self.count = 0
        self.failed: list[str] = []
        self.armed = True
        self._lock = threading.Lock()

    def step(self, name: str) -> bool:
        """Whether this step is to fail."""
        if not self.armed:
            return False
        with self._lock:
            self.count += 1
            fails = self.at <= self.count < self.at + self.times
            if fails:
                self.failed.append(name)
            return fails

    def check(self, name: str) -> None:
        if self.step(name):
            raise OSError(self.error, os.strerror(self.error), name)


class FailingFiles(OsFiles):
    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def open(self, path: Path, flags: int) -> int:
        if not path.exists():
            self.fault.check(f"create {path.name}")
        return super().open(path, flags)

    def write(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        if self.fault.step("write"):
            data = b"".join(bytes(buffer[:]) for buffer in buffers)
            super().write(fd, [data[: len(data) // 2]], offset)  # half of it arrives
            raise OSError(self.fault.error, os.strerror(self.fault.error))
        return super().write(fd, buffers, offset)

    def truncate(self, fd: int, size: int) -> None:
        self.fault.check("truncate")
        super().truncate(fd, size)

    def sync_data(self, fd: int) -> None:
        self.fault.check("sync")

    def sync_folder(self, path: Path) -> None:
        self.fault.check(f"sync folder {path.name}")

    def link(self, fd: int, path: Path) -> None:
        self.fault.check(f"link {path.name}")
        super().link(fd, path)

    def unlink(self, path: Path) -> None:
        self.fault.check(f"unlink {path.name}")
        super().unlink(path)

    def boot_id(self) -> str:
        return "boot-1"


class FailingVfs(apsw.VFS):
    """SQLite's files under the same fault."""

    def __init__(self, name: str, fault: Fault) -> None:
        self._fault = fault
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> FailingFile:
        return FailingFile(name, flags, self._fault)


class FailingFile(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int], fault: Fault) -> None:
        self._fault = fault
        super().__init__("", name, flags)

    def _check(self, step: str, code: int) -> None:
        if self._fault.step(step):
            if self._fault.error == errno.ENOSPC and code != apsw.SQLITE_IOERR_FSYNC:
                raise apsw.FullError("disk full")
            error = apsw.IOError(step)
            error.extendedresult = code
            raise error

    def xWrite(self, data: bytes, offset: int) -> None:
        self._check("sqlite write", apsw.SQLITE_IOERR_WRITE)
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._check("sqlite truncate", apsw.SQLITE_IOERR_TRUNCATE)
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        self._check("sqlite sync", apsw.SQLITE_IOERR_FSYNC)
