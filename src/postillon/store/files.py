"""Every change the store makes to files outside the database, in one place.

A test gives its own `Files` to fail any step or to write down all of them for a simulated power cut.
The methods block and raise OSError; reading needs no such care and is done with `os`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from mmap import mmap
from pathlib import Path
from typing import Protocol

Buffer = bytes | memoryview | mmap

MAX_VECTOR = 1024  # buffers of one call: IOV_MAX of Linux, and the least that POSIX systems have
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


SYNC_FILE_RANGE_WRITE = 2  # begin to write, wait for nothing: sync_file_range(2)


def _sync_file_range() -> Callable[[int, int, int, int], int] | None:
    """The call of Linux that Python's `os` has not; None elsewhere."""
    call = getattr(ctypes.CDLL(None), "sync_file_range", None)
    if call is not None:
        call.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
        call.restype = ctypes.c_int
    return call


SYNC_FILE_RANGE = _sync_file_range()


class Files(Protocol):
    """Paths are absolute. A failed sync must never be tried again (FAULTS 48)."""

    def open(self, path: Path, flags: int) -> int:
        """A descriptor, private to this process; a new file is readable by its owner only."""

    def close(self, fd: int) -> None: ...

    def write(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        """Write all the buffers one after the other from `offset` on; returns the octets written."""

    def truncate(self, fd: int, size: int) -> None: ...

    def sync_data(self, fd: int) -> None:
        """Make content and size durable."""

    def sync_soon(self, fd: int, offset: int, length: int) -> None:
        """Let the disk begin with what was written there: `sync_data` then has less to wait for."""

    def sync_folder(self, path: Path) -> None:
        """Make the names in a folder durable."""

    def link(self, fd: int, path: Path) -> None:
        """Give a file that has no name this one. Raises FileExistsError."""

    def unlink(self, path: Path) -> None: ...

    def boot_id(self) -> str:
        """Different after each start of the machine: what was not synced may then be gone."""


class OsFiles:
    """The files of the operating system."""

    def open(self, path: Path, flags: int) -> int:
        return os.open(path, flags | os.O_CLOEXEC, 0o600)

    def close(self, fd: int) -> None:
        os.close(fd)

    def write(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        return write_all(fd, buffers, offset)

    def truncate(self, fd: int, size: int) -> None:
        os.ftruncate(fd, size)

    def sync_data(self, fd: int) -> None:
        os.fdatasync(fd)

    def sync_soon(self, fd: int, offset: int, length: int) -> None:
        if SYNC_FILE_RANGE is not None:
            SYNC_FILE_RANGE(fd, offset, length, SYNC_FILE_RANGE_WRITE)

    def sync_folder(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)

    def link(self, fd: int, path: Path) -> None:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            # Only with a folder's descriptor is the symbolic link in /proc followed.
            os.link(f"/proc/self/fd/{fd}", path.name, dst_dir_fd=folder, follow_symlinks=True)
        finally:
            os.close(folder)

    def unlink(self, path: Path) -> None:
        os.unlink(path)

    def boot_id(self) -> str:
        try:
            return BOOT_ID.read_text().strip()
        except OSError:
            return ""  # not Linux: every unclean start then counts as a power cut


def write_all(fd: int, buffers: Sequence[Buffer], offset: int) -> int:
    """Write all the buffers one after the other from `offset` on; returns the octets written."""
    start = offset
    for first in range(0, len(buffers), MAX_VECTOR):
        offset += _write_some(fd, buffers[first : first + MAX_VECTOR], offset)
    return offset - start


def _write_some(fd: int, buffers: Sequence[Buffer], offset: int) -> int:
    total = sum(map(len, buffers))
    written = os.pwritev(fd, buffers, offset)
    if written == total:
        return total
    # A short write is rare: a signal, the last block of a full disk, more than 2 GiB at once.
    left: list[memoryview] = [memoryview(buffer) for buffer in buffers]
    done = 0
    while True:
        done += written
        while left and written >= len(left[0]):
            written -= len(left.pop(0))
        if not left:
            return total
        left[0] = left[0][written:]
        written = os.pwritev(fd, left, offset + done)
