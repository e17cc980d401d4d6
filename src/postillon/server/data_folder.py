"""The folder of all state: made where it is missing, and used by one server at a time."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

LOCK = "supervisor.lock"
LOCK_WAIT_S = 20.0  # for the workers of a supervisor that was killed to notice and end
LOCK_TRY_S = 0.05


class FolderInUse(Exception):
    """Another server runs on this folder."""

    def __init__(self, folder: Path, pid: int) -> None:
        by = f" by process {pid}" if pid else ""
        super().__init__(
            f"the data folder {folder} is in use{by}."
            " Stop that server, or give this one another folder."
        )
        self.folder, self.pid = folder, pid


def make_folder(folder: Path, owner: tuple[int, int] | None = None) -> None:
    """Make the folder and its `run`, for nobody else to read. owner: uid and gid of new ones."""
    for path in (folder, folder / "run"):
        if not path.is_dir():
            path.mkdir(parents=True, mode=0o700)
            if owner is not None:
                os.chown(path, *owner)


def lock_folder(folder: Path, wait_s: float = LOCK_WAIT_S) -> int:
    """Lock the folder for this server; returns the descriptor that holds the lock.

    The workers inherit it: if the supervisor is killed the lock lasts until the last of them is gone,
    and a new supervisor waits for that. Raises FolderInUse, at once if the other supervisor lives.
    """
    descriptor = os.open(folder / "run" / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    give_up = time.monotonic() + wait_s
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = _read_pid(descriptor)
            if _alive(pid) or time.monotonic() > give_up:
                os.close(descriptor)
                raise FolderInUse(folder, pid) from None
            time.sleep(LOCK_TRY_S)
            continue
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        return descriptor


def runs(folder: Path) -> bool:
    """Whether a server runs on the folder."""
    try:
        descriptor = os.open(folder / "run" / LOCK, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 20, 0).strip()
    return int(text) if text.isdigit() else 0


def _alive(pid: int) -> bool:
    if pid == 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
