"""The processes of one server, by the kernel's own accounting: a control group of version 2.

A process started inside a cell stays in it with all its children, wherever they are adopted, and the
CPU time of those that have ended is kept. So the figures hold for servers that fork for every message
and for those that never do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SECTOR = 512  # octets, the unit of the kernel's disk statistics
PATIENCE_S = 20.0  # for killed processes to go
QUIET = 0.95  # idle share of all cores from which on the machine is ours alone
LOOK_S = 3.0
SAMPLE_S = 1.0  # between looks at the memory


def control_groups() -> Path | None:
    """Where control groups of version 2 are mounted, alone or beside version 1."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        _, place, kind, *_ = line.split()
        if kind == "cgroup2":
            return Path(place)
    return None


class Cell:
    """A control group of its own. Needs root."""

    def __init__(self, name: str) -> None:
        top = control_groups()
        if top is None:
            raise RuntimeError("no control groups of version 2 are mounted")
        own = next(
            line[3:]
            for line in Path("/proc/self/cgroup").read_text().splitlines()
            if line.startswith("0::")
        )
        self._outside = top / own.lstrip("/")
        self._folder = top / f"postillon-{os.getpid()}-{name}"
        self._folder.mkdir(exist_ok=True)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """What is started meanwhile is born in the cell."""
        (self._folder / "cgroup.procs").write_text(str(os.getpid()))
        try:
            yield
        finally:
            (self._outside / "cgroup.procs").write_text(str(os.getpid()))

    def processes(self) -> list[int]:
        return [int(line) for line in (self._folder / "cgroup.procs").read_text().split()]

    def cpu(self) -> float:
        """CPU seconds of all processes that ever were in the cell, ended ones too."""
        for line in (self._folder / "cpu.stat").read_text().splitlines():
            if line.startswith("usage_usec"):
                return int(line.split()[1]) / 1e6
        raise RuntimeError("cpu.stat without usage_usec")

    def written(self) -> int:
        """Octets of files changed, by `write_bytes` of /proc/PID/io.

        A process that was waited for is in its parent's figure. One whose parent ignores its end is
        lost, and what the file system itself writes (journal, folders) is in nobody's: see `disk`.
        """
        total = 0
        for process in self.processes():
            with suppress(OSError):
                for line in Path(f"/proc/{process}/io").read_text().splitlines():
                    if line.startswith("write_bytes:"):
                        total += int(line.split()[1])
        return total

    def memory(self) -> int:
        return memory(self.processes())

    @contextmanager
    def watched(self) -> Iterator[list[int]]:
        """Meanwhile `memory` is asked every second; the list given holds what was seen."""
        seen: list[int] = [self.memory()]
        over = threading.Event()

        def watch() -> None:
            while not over.wait(SAMPLE_S):
                seen.append(self.memory())

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield seen
        finally:
            over.set()
            thread.join()
            seen.append(self.memory())

    def kill(self) -> None:
        """End every process of the cell, and only those. Returns when they are gone."""
        late = time.monotonic() + PATIENCE_S
        while self.processes():
            (self._folder / "cgroup.kill").write_text("1")
            if time.monotonic() > late:
                raise RuntimeError(f"processes that do not end: {self.processes()}")
            time.sleep(0.02)

    def remove(self) -> None:
        self.kill()
        late = time.monotonic() + PATIENCE_S
        while True:
            try:
                self._folder.rmdir()
                return
            except OSError:  # the last process is gone, and not yet taken off the books
                if time.monotonic() > late:
                    raise
                time.sleep(0.05)


def memory(processes: Iterable[int], kind: str = "Pss") -> int:
    """Octets of memory at this moment; what processes share is counted once (PSS).

    kind: "Pss_Anon" leaves out files that are mapped, whose pages the kernel takes back at need.
    """
    total = 0
    for process in processes:
        with suppress(OSError):
            for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith(f"{kind}:"):
                    total += int(line.split()[1]) * 1024
    return total


def machine_busy() -> bool:
    """Whether other programs want the processors now: looks for three seconds."""

    def spent() -> tuple[int, int]:
        fields = [
            int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        ]
        return sum(fields), fields[3] + fields[4]  # all, idle

    total, idle = spent()
    time.sleep(LOOK_S)
    total_then, idle_then = spent()
    return (idle_then - idle) / max(1, total_then - total) < QUIET


def in_memory(folder: Path) -> bool:
    """Whether a folder lies in memory, where a sync costs nothing and proves nothing."""
    device = os.stat(folder).st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0] in ("tmpfs", "ramfs")
    return False


def disk(folder: Path) -> int | None:
    """Octets written so far to the disk `folder` lies on, by everybody; None where nobody counts."""
    device = os.stat(folder).st_dev
    try:
        fields = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/stat").read_text()
    except FileNotFoundError:
        return None
    return int(fields.split()[6]) * SECTOR
