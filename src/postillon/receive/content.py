"""Content while it arrives: in memory at first, beyond a bound in a file without a name."""

from __future__ import annotations

from pathlib import Path

from postillon.mail.octets import Octets
from postillon.store.large import LargeWriter


class Incoming:
    """Collects one message. The file dies with the process: nothing is promised of it yet."""

    def __init__(self, folder: Path, memory: int) -> None:
        self._folder = folder
        self._memory = memory
        self._parts: list[bytes] = []
        self._file: LargeWriter | None = None
        self.size = 0

    def add(self, octets: bytes) -> None:
        """Raises OSError if there is no room; nothing of the message is of use then."""
        self.size += len(octets)
        if self._file is not None:
            self._file.write([octets])
            return
        self._parts.append(octets)
        if self.size > self._memory:
            self._file = LargeWriter(self._folder)
            self._file.write(self._parts)
            self._parts.clear()

    def finish(self) -> Octets:
        """All of it. A mapped file keeps its octets until the last reference is gone."""
        if self._file is None:
            parts, self._parts = self._parts, []
            return parts[0] if len(parts) == 1 else b"".join(parts)
        return self._file.finish()

    def discard(self) -> None:
        self._parts.clear()
        self._file = None
