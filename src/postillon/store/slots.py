"""Who may do what at the same time: locks that the kernel gives back when a process dies.

Each process owns a slot, by the name of its worker; the commit lock is a fair queue of all writers
(SQLite's own polling would stall for seconds); the door is held while a store is opened or closed.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

from postillon.store.operation import StoreError

CLI = "cli"
MAX_CLI = 64  # commands that may use the store at once
WAIT_S = 0.5  # seconds a taken slot is waited for


class FileLock:
    """An flock on a file of its own, which stays there: removing it would race with the next one."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def acquire(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_EX)

    def share(self) -> None:
        """Hold it together with others that share it."""
        fcntl.flock(self._fd, fcntl.LOCK_SH)

    def try_acquire(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def release(self) -> None:
        fcntl.flock(self._fd, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> FileLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def slot_path(run: Path, owner: str) -> Path:
    return run / f"slot-{owner}.lock"


def claim(run: Path, owner: str) -> tuple[str, FileLock]:
    """Take the slot of an owner; "cli" takes the first free one of its kind.

    Blocks for WAIT_S if it is taken, then raises StoreError.
    """
    if not owner or not owner.replace("-", "").isalnum():
        raise StoreError(f"{owner!r} cannot name a slot")
    names = [f"{CLI}-{n}" for n in range(1, MAX_CLI + 1)] if owner == CLI else [owner]
    until = time.monotonic() + WAIT_S
    while True:
        for name in names:
            if (lock := idle(run, name)) is not None:
                return name, lock
        if time.monotonic() >= until:
            break
        time.sleep(WAIT_S / 20)  # maintenance holds a free slot for a moment while it seals a pack
    raise StoreError(f"another process uses the store as {owner!r}")


def idle(run: Path, owner: str) -> FileLock | None:
    """The slot of somebody else, taken, if no process holds it."""
    lock = FileLock(slot_path(run, owner))
    if lock.try_acquire():
        return lock
    lock.close()
    return None


def others_alive(run: Path, own: str) -> bool:
    """Whether any other process has the store open. Ask only while holding the door."""
    for path in run.glob("slot-*.lock"):
        name = path.stem.removeprefix("slot-")
        if name == own:
            continue
        lock = idle(run, name)
        if lock is None:
            return True
        lock.close()
    return False
