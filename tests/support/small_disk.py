"""A file system of its own that can be filled to the last octet: a tmpfs, which only root may mount."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class SmallDisk:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, left: int = 0) -> None:
        """Take all room but about `left` octets."""
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for piece in (b"\0" * 65_536, b"\0" * 1_024):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(fd, piece)
            os.ftruncate(fd, max(0, os.fstat(fd).st_size - left))
        finally:
            os.close(fd)

    def free(self) -> None:
        """There is room again."""
        self._filler.unlink()


@contextlib.contextmanager
def small_disk(folder: Path, octets: int) -> Iterator[SmallDisk]:
    """Mounted while the context lasts; skips the test where that is not allowed."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={octets}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode:
        pytest.skip(f"no file system of our own can be mounted here: {mounted.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
