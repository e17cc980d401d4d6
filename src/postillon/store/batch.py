"""What a batch is made of: operations on their way, what each may use, and the pack's own sync."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from queue import SimpleQueue
from typing import Any

from postillon.store.operation import BlobRef, NewBlob, WriteOperation
from postillon.store.pack import PackWriter, record_size


class Job:
    """One operation on its way: who waits for it, and later what became of it."""

    __slots__ = ("blobs", "error", "first", "future", "octets", "operation", "result")

    def __init__(
        self,
        operation: WriteOperation[Any],  # Any: results of all operations pass here
        blobs: Sequence[NewBlob],
        future: asyncio.Future[Any],
    ) -> None:
        self.operation = operation
        self.blobs = blobs
        self.future = future
        self.octets = sum(map(record_size, blobs)) if blobs else 0
        self.first = 0  # index of its first blob in the batch
        self.result: Any = None
        self.error: BaseException | None = None


class BatchTx:
    """What an operation may use beside its statements (the Tx of store.operation)."""

    __slots__ = ("_first", "_refs", "changes", "now", "topics")

    def __init__(
        self,
        now: int,
        refs: Sequence[BlobRef],
        first: int,
        changes: list[tuple[int, int]],
        topics: list[str],
    ) -> None:
        self.now = now
        self._refs = refs
        self._first = first
        self.changes = changes
        self.topics = topics

    def blob(self, index: int = 0) -> BlobRef:
        return self._refs[self._first + index]

    def changed(self, account: int, modseq: int) -> None:
        self.changes.append((account, modseq))

    def announce(self, topic: str) -> None:
        self.topics.append(topic)


class SyncThread:
    """Syncs the pack while the commit goes on in its own thread."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[PackWriter | None] = SimpleQueue()
        self._done: SimpleQueue[OSError | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def start(self, pack: PackWriter) -> None:
        self._work.put(pack)

    def join(self) -> OSError | None:
        """Wait for the sync that was started; what went wrong, if anything."""
        return self._done.get()

    def close(self) -> None:
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (pack := self._work.get()) is not None:
            try:
                pack.sync()
            except OSError as error:
                self._done.put(error)
            else:
                self._done.put(None)
