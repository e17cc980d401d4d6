"""What a batch is made of: operations on their way, what each may use, and the pack's own sync."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any

from postillon.store.large import LargeBlob
from postillon.store.operation import BlobRef, Brief, NewBlob, WriteOperation
from postillon.store.pack import PackWriter, record_size

MOST_HERE = (
    100  # brief operations of one batch that may run in the loop's thread: some milliseconds
)
OCTETS_HERE = 2 << 20  # of their blobs
TURNS = 2  # of the loop between the first operation of a batch and its beginning
PAUSE_S = 0.001  # while another process writes, before it is asked again whether it has done so
PAUSES = 3  # at most; then the batch begins, and waits in its thread


class Job:
    """One operation on its way: who waits for it, and later what became of it."""

    __slots__ = (
        "blobs", "brief", "error", "first", "future", "large", "new", "octets", "operation", "result",
    )  # fmt: skip

    def __init__(
        self,
        operation: WriteOperation[Any],  # Any: results of all operations pass here
        blobs: Sequence[NewBlob],
        future: asyncio.Future[Any],
        large: Sequence[LargeBlob | None] = (),
    ) -> None:
        """large: for each blob what is a pack already but for its name, else None; or nothing."""
        self.operation = operation
        self.large = large or (None,) * len(blobs)
        self.new = isinstance(operation, Brief)
        self.brief = self.new and not large
        self.blobs = blobs
        self.future = future
        self.octets = sum(
            record_size(blob) for blob, own in zip(blobs, self.large, strict=True) if own is None
        )
        self.first = 0  # index of its first blob in the batch
        self.result: Any = None
        self.error: BaseException | None = None


class Batch:
    """Operations that become durable together, and how far they have come.

    refs: where their blobs lie; named: what has got the name of a pack of its own; synced: octets of
    the pack that were durable before they were appended.
    trouble: what ended the writing, for the thread that would have gone on with it.
    """

    __slots__ = (
        "apart", "appended", "changes", "committed", "grown", "jobs", "named", "refs", "synced",
        "syncing", "topics", "trouble",
    )  # fmt: skip

    def __init__(self, jobs: list[Job]) -> None:
        self.jobs = jobs
        self.refs: list[BlobRef] = []
        self.named: list[LargeBlob] = []
        self.appended = False
        self.grown = False  # the pack has octets of it
        self.syncing = False  # which are to be synced still
        self.apart = False  # in a thread of its own, where that has begun already
        self.synced = 0
        self.committed = False
        self.changes: list[tuple[int, int]] = []
        self.topics: list[str] = []
        self.trouble: Exception | None = None

    def forget(self) -> None:
        """Nothing of it is to be told: it has failed."""
        self.changes.clear()
        self.topics.clear()

    @property
    def octets_first(self) -> bool:
        """Whether no row may be durable before the octets that it names: not all is new mail."""
        return any(job.octets and not job.new for job in self.jobs)

    @property
    def light(self) -> bool:
        """Whether it may be written in the loop's thread."""
        jobs = self.jobs
        return (
            len(jobs) <= MOST_HERE
            and all(job.brief for job in jobs)
            and sum(job.octets for job in jobs) <= OCTETS_HERE
        )


class Turnstile:
    """Makes batches of what waits, one at a time: while one is under way the next one collects.

    Belongs to the loop's thread. A batch begins a few turns of the loop after an operation has joined,
    so that what has arrived meanwhile comes along: a busy loop makes fewer and larger batches, an idle
    one turns at once. While another process writes it collects a little longer, as a batch that is
    written in the loop's thread costs less than one that waits for the lock in its own.
    begin: takes a batch; `passed` is to be called once it is finished.
    free: whether nobody else writes now.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        begin: Callable[[Batch], None],
        most: int,
        most_octets: int,
        free: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._free = free
        self._begin = begin
        self._most = most
        self._most_octets = most_octets
        self._waiting: deque[Job] = deque()
        self._closed = False  # a batch is under way, or is about to begin
        self._idle: asyncio.Future[None] | None = None

    def join(self, job: Job) -> None:
        self._waiting.append(job)
        if not self._closed:
            self._closed = True
            self._loop.call_soon(self._turn)

    def passed(self) -> None:
        """The batch under way is finished: the next one may begin, behind the answers to this one."""
        if self._waiting:
            self._loop.call_soon(self._turn)
            return
        self._closed = False
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    async def emptied(self) -> None:
        """Wait until nothing waits and nothing is under way."""
        while self._closed:
            self._idle = self._loop.create_future()
            await self._idle

    def _turn(self, left: int = TURNS, pauses: int = PAUSES) -> None:
        if left:
            self._loop.call_soon(self._turn, left - 1, pauses)
            return
        if pauses and not self._free():
            self._loop.call_later(PAUSE_S, self._turn, 0, pauses - 1)
            return
        waiting, most, bound = self._waiting, self._most, self._most_octets
        jobs = [waiting.popleft()]
        octets = jobs[0].octets
        while waiting and len(jobs) < most and octets + waiting[0].octets <= bound:
            octets += waiting[0].octets
            jobs.append(waiting.popleft())
        self._begin(Batch(jobs))


class BatchTx:
    """What an operation may use beside its statements (the Tx of store.operation)."""

    chains = False

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

    def join(self) -> None:
        """Wait for the sync that was started. Raises the OSError it has met."""
        if (failed := self._done.get()) is not None:
            raise failed

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
