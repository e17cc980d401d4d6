"""Power cuts for the store, simulated: every write, truncate, unlink and sync is written down, and a
disk is made up as it could be after a cut at any moment.

`Recorder` is a Files for packs and the log's sync, and gives an apsw VFS for what SQLite does. What a
sync had covered when it returned survives. Of everything later, each write is kept, dropped or torn
into sectors, each truncate kept or dropped, independently: disks and file systems reorder.
"""

from __future__ import annotations

import os
import random
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import apsw

from postillon.store.files import Buffer, OsFiles

SECTOR = 512  # octets a disk writes whole
_ALL_ALIKE: Mapping[str, float] = {}
LATENCIES = (0.0, 0.0005, 0.002)  # seconds a sync of the simulated disk takes
SLOW = 0.05  # seconds: longer than any transaction


@dataclass(slots=True)
class Event:
    """kind: write, truncate, create, unlink, sync, folder, acknowledged."""

    kind: str
    path: str = ""
    offset: int = 0
    data: bytes = b""
    begun: int = 0  # for a sync: how many events there were when it began; those it covers
    what: Any = None  # for acknowledged: anything


@dataclass(slots=True)
class Recorder(OsFiles):
    """Records from the state of a folder when it is made. Leaves out locks and shared memory."""

    folder: Path
    base: Path  # where the state at the beginning is kept
    skip_sync: str = "nothing"  # a control: files whose name ends so are never synced
    slow_sync: str = "nothing"  # files whose name ends so take SLOW to be synced
    boot: str = "boot-1"
    events: list[Event] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    names: dict[int, str] = field(default_factory=dict)
    unsynced: set[int] = field(default_factory=set)  # files without a name that are not durable
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def __post_init__(self) -> None:
        shutil.copytree(self.folder, self.base)

    def _name(self, path: str | Path) -> str:
        return os.path.relpath(path, self.folder)

    def add(self, event: Event) -> None:
        with self.lock:
            self.events.append(event)

    def acknowledged(self, what: Any) -> None:
        self.add(Event("acknowledged", what=what))

    # Files

    def open(self, path: Path, flags: int) -> int:
        new = not path.exists()
        fd = OsFiles.open(self, path, flags)
        self.names[fd] = self._name(path)
        if new:
            self.add(Event("create", self._name(path)))
        return fd

    def close(self, fd: int) -> None:
        self.names.pop(fd, None)
        OsFiles.close(self, fd)

    def write(self, fd: int, buffers: Sequence[Buffer], offset: int) -> int:
        if fd not in self.names:  # a file without a name leaves nothing behind, until it gets one
            self.unsynced.add(fd)
            return OsFiles.write(self, fd, buffers, offset)
        self.add(Event("write", self.names[fd], offset, b"".join(bytes(b[:]) for b in buffers)))
        return OsFiles.write(self, fd, buffers, offset)

    def truncate(self, fd: int, size: int) -> None:
        self.add(Event("truncate", self.names[fd], size))
        OsFiles.truncate(self, fd, size)

    def sync_data(self, fd: int) -> None:
        name = self.names.get(fd, ".pack")
        if name.endswith(self.skip_sync):
            return
        begun = len(self.events)
        slow = name.endswith(self.slow_sync)
        time.sleep(SLOW if slow else self.chance.choice(LATENCIES))  # the other thread goes on
        if fd in self.names:
            self.add(Event("sync", name, begun=begun))
        else:
            self.unsynced.discard(fd)

    def sync_folder(self, path: Path) -> None:
        self.add(Event("folder", self._name(path), begun=len(self.events)))

    def link(self, fd: int, path: Path) -> None:
        OsFiles.link(self, fd, path)
        name = self._name(path)
        self.add(Event("create", name))
        self.add(Event("write", name, 0, os.pread(fd, os.fstat(fd).st_size, 0)))
        if fd not in self.unsynced:
            self.add(Event("sync", name, begun=len(self.events)))

    def unlink(self, path: Path) -> None:
        self.add(Event("unlink", self._name(path)))
        OsFiles.unlink(self, path)

    def boot_id(self) -> str:
        return self.boot

    def vfs(self, name: str) -> RecordingVfs:
        return RecordingVfs(name, self)

    # Disks after a cut

    def disk_after(
        self, cut: int, target: Path, chance: random.Random, kept: Mapping[str, float] = _ALL_ALIKE
    ) -> None:
        """Make up the folder as it may be if the power fails before event number `cut`.

        One draw decides how much of what was not synced survives at all, so that both extremes occur.
        kept: how much instead, by the ends of names.
        """
        shutil.copytree(self.base, target)
        durable: dict[str, int] = {}  # path: events before this one have reached the disk
        for event in self.events[:cut]:
            if event.kind in ("sync", "folder"):  # of several at once, an earlier one may end later
                durable[event.path] = max(event.begun, durable.get(event.path, 0))
        share, tear = chance.choice((0.0, 0.3, 0.6, 0.95, 1.0)), chance.choice((0.0, 0.3))
        content: dict[str, bytearray] = {}
        gone: set[str] = set()
        for number, event in enumerate(self.events[:cut]):
            if event.kind in ("sync", "folder", "acknowledged"):
                continue
            path = event.path
            keep = next((kept[end] for end in kept if path.endswith(end)), share)
            if event.kind in ("create", "unlink"):
                # POSIX promises a name only with its folder; many file systems are kinder.
                sure = number < durable.get(os.path.dirname(path) or ".", 0)
                if sure or chance.random() < keep:
                    if event.kind == "unlink":
                        gone.add(path)
                        content.pop(path, None)
                    elif path in gone or not (target / path).exists():
                        gone.discard(path)
                        content.setdefault(path, bytearray())
                continue
            if path not in content:
                if path in gone or not (target / path).exists():
                    continue  # its name never reached the disk
                content[path] = bytearray((target / path).read_bytes())
            if number < durable.get(path, 0) or chance.random() < keep:
                self._apply(content[path], event)
            elif event.kind == "write" and chance.random() < tear:
                self._apply_torn(content[path], event, chance)
        for path, octets in content.items():
            (target / path).write_bytes(octets)
        for path in gone:
            (target / path).unlink(missing_ok=True)
        for path in target.rglob("*-shm"):
            path.unlink()

    def _apply(self, octets: bytearray, event: Event) -> None:
        if event.kind == "truncate":
            del octets[event.offset :]
            octets.extend(bytes(event.offset - len(octets)))
            return
        if len(octets) < event.offset:
            octets.extend(bytes(event.offset - len(octets)))
        octets[event.offset : event.offset + len(event.data)] = event.data

    def _apply_torn(self, octets: bytearray, event: Event, chance: random.Random) -> None:
        offset, end = event.offset, event.offset + len(event.data)
        while offset < end:
            stop = min(end, (offset // SECTOR + 1) * SECTOR)
            if chance.random() < 0.5:
                data = event.data[offset - event.offset : stop - event.offset]
                self._apply(octets, Event("write", event.path, offset, data))
            offset = stop


class RecordingVfs(apsw.VFS):
    """SQLite's files, recorded."""

    def __init__(self, name: str, recorder: Recorder) -> None:
        self._recorder = recorder
        super().__init__(name, "")

    def xOpen(self, name: Any, flags: list[int]) -> RecordingFile:
        return RecordingFile(name, flags, self._recorder)

    def xDelete(self, filename: str, syncdir: bool) -> None:
        self._recorder.add(Event("unlink", self._recorder._name(filename)))
        super().xDelete(filename, syncdir)
        if syncdir:
            self._recorder.sync_folder(Path(filename).parent)


class RecordingFile(apsw.VFSFile):
    """One of them."""

    def __init__(self, name: Any, flags: list[int], recorder: Recorder) -> None:
        self._recorder = recorder
        filename = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._path = recorder._name(filename) if filename else ""
        new = bool(filename) and not os.path.exists(filename)
        super().__init__("", name, flags)
        if new:
            recorder.add(Event("create", self._path))

    def xWrite(self, data: bytes, offset: int) -> None:
        self._recorder.add(Event("write", self._path, offset, bytes(data)))
        super().xWrite(data, offset)

    def xTruncate(self, size: int) -> None:
        self._recorder.add(Event("truncate", self._path, size))
        super().xTruncate(size)

    def xSync(self, flags: int) -> None:
        # By SQLite itself, at checkpoints and when the log begins anew: part of the control too.
        self._recorder.add(Event("sync", self._path, begun=len(self._recorder.events)))
