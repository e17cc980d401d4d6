"""The store on one machine: rows in one SQLite file, message octets in packs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import LifoQueue
from typing import Any, TypeVar

import apsw

from postillon.clock import Clock, system_clock
from postillon.log import SILENT, Log
from postillon.store.batch import Batch, Job, Turnstile
from postillon.store.commit import Committer, refusal
from postillon.store.config import StoreConfig
from postillon.store.database import close, connect, run, translated
from postillon.store.files import Files, OsFiles
from postillon.store.large import LargeBlob, large_of
from postillon.store.opening import Opened, close_folder, open_folder, packs_of
from postillon.store.operation import (
    BlobRef,
    CommitListener,
    NewBlob,
    Steps,
    StoreStopped,
    WriteOperation,
)
from postillon.store.pack import MAX_ENVELOPE, MAX_PAYLOAD, PackReader

T = TypeVar("T")

LARGE = 256 * 1024  # octets from which content is read in another thread
SYNCS = 4  # large blobs that are made durable at the same time


class Reader:
    """One connection for reading. One thread at a time."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._execute = connection.cursor().execute

    def read(self, steps: Steps[T]) -> T:
        """Run in one read transaction; a read begun inside another one shares its snapshot."""
        connection, execute = self._connection, self._execute
        try:
            if connection.in_transaction:
                return run(connection.cursor().execute, steps)
            execute("BEGIN")
            try:
                return run(execute, steps)
            finally:
                execute("COMMIT")
        except apsw.Error as error:
            raise translated(error) from error

    def close(self) -> None:
        close(self._connection)


class SqliteStore:
    """The Store of store.operation. Belongs to the loop in which it was opened."""

    def __init__(
        self,
        opened: Opened,
        config: StoreConfig,
        *,
        log: Log,
        clock: Clock,
        files: Files,
        vfs: str | None,
    ) -> None:
        self.folder = opened.folder
        self.owner = opened.owner
        self.config = config
        self.stopped = asyncio.Event()  # set when no more writes are taken (I4)
        self.log = log
        self.clock = clock
        self.files = files
        self.opened = opened
        self.vfs = vfs
        self._listeners: list[CommitListener] = []
        self._loop = asyncio.get_running_loop()
        self._refusal: str | None = None  # why writes are refused, once they are
        self.packs = PackReader(packs_of(opened.folder))
        self._reader = Reader(connect(opened.folder, config, writes=False, vfs=vfs))
        self._apart: LifoQueue[Reader] = LifoQueue()
        self._pool = ThreadPoolExecutor(config.readers, thread_name_prefix="store-read")
        self._completing = ThreadPoolExecutor(SYNCS, thread_name_prefix="store-large")
        self._committer = Committer(
            connection=opened.writer, config=config, files=files, packs=packs_of(opened.folder),
            wal_fd=opened.wal_fd, lock=opened.lock, owner=opened.owner, pack=opened.pack,
            clock=clock, log=log, finish=self._finish_soon, stop=self.stop_soon,
        )  # fmt: skip
        self._turnstile = Turnstile(
            self._loop,
            self._committer.begin,
            config.batch_operations,
            config.batch_octets,
            self._committer.free,
        )

    # Reading

    def read(self, steps: Steps[T]) -> T:
        """As `query`, for what belongs to SQLite alone."""
        return self._reader.read(steps)

    async def query(self, steps: Steps[T]) -> T:
        return self._reader.read(steps)

    async def read_apart(self, steps: Steps[T]) -> T:
        return await self._loop.run_in_executor(self._pool, self._read_apart, steps)

    def _read_apart(self, steps: Steps[T]) -> T:
        with self._borrowed() as reader:
            return reader.read(steps)

    @contextmanager
    def _borrowed(self) -> Iterator[Reader]:
        """A reader for a thread of the pool, which has no more threads than there will be readers."""
        if self._apart.empty():
            reader = Reader(connect(self.folder, self.config, writes=False, vfs=self.vfs))
        else:
            reader = self._apart.get()
        try:
            yield reader
        finally:
            self._apart.put(reader)

    def content(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        return self.packs.read(ref, start, stop)

    async def fetch(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        if (ref.length if stop is None else stop) - start < LARGE:
            return self.packs.read(ref, start, stop)
        return await self._loop.run_in_executor(self._pool, self.packs.read, ref, start, stop)

    async def fetch_together(self, wanted: Sequence[tuple[BlobRef, int]]) -> Sequence[bytes | None]:
        if sum(stop for _, stop in wanted) < LARGE:
            return self.packs.read_together(wanted)
        return await self._loop.run_in_executor(self._pool, self.packs.read_together, wanted)

    async def ahead(self, refs: Sequence[BlobRef], octets: int) -> None:
        """Nothing: the kernel reads ahead."""

    async def apart(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run a blocking call of maintenance in a thread of the pool."""
        return await self._loop.run_in_executor(self._pool, call, *arguments)

    # Writing

    async def write(self, operation: WriteOperation[T], *blobs: NewBlob) -> T:
        if self._refusal is not None:
            raise StoreStopped(self._refusal)
        for blob in blobs:
            if len(blob.content) > MAX_PAYLOAD or len(blob.envelope) > MAX_ENVELOPE:
                raise ValueError("a blob or its envelope is too large for a pack")
        large: Sequence[LargeBlob | None] = ()
        if any(isinstance(blob.content, LargeBlob) for blob in blobs):
            large = await self._completed(blobs)
        future: asyncio.Future[T] = self._loop.create_future()
        self._turnstile.join(Job(operation, blobs, future, large))
        return await future

    async def _completed(self, blobs: Sequence[NewBlob]) -> Sequence[LargeBlob | None]:
        """Make those durable that become packs of their own. Raises StoreError."""
        large = [large_of(blob, packs_of(self.folder)) for blob in blobs]
        try:
            for blob in large:
                if blob is not None and blob.ref is None:
                    await self._loop.run_in_executor(self._completing, blob.complete, self.files)
        except OSError as error:
            raise refusal(error) from error
        if self._refusal is not None:
            raise StoreStopped(self._refusal)
        return large

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each batch of this process that changed or announced something."""
        self._listeners.append(listener)

    async def leads(self) -> bool:
        """Whether maintenance is this process's to do: of SQLite there is one alone."""
        return True

    @property
    def batches(self) -> tuple[int, int]:
        """How many batches and operations have been committed."""
        return self._committer.batches, self._committer.operations

    def _finish_soon(self, batch: Batch) -> None:
        """In the committing thread: the one wake-up of the loop for a batch."""
        try:
            self._loop.call_soon_threadsafe(self._finish, batch)
        except RuntimeError:
            self.log.warning(
                "loop gone", operations=len(batch.jobs)
            )  # closed: nobody waits any more

    def _finish(self, batch: Batch) -> None:
        for job in batch.jobs:
            future = job.future
            if future.done():
                continue  # the caller was cancelled
            if job.error is None:
                future.set_result(job.result)
            else:
                future.set_exception(job.error)
        if batch.changes or batch.topics:
            # Behind the callers, whose turn has just been scheduled: answers, then notifications.
            topics = list(dict.fromkeys(batch.topics))
            self._loop.call_soon(self._notify, batch.changes, topics)
        self._turnstile.passed()

    def _notify(self, changes: list[tuple[int, int]], topics: list[str]) -> None:
        for listener in self._listeners:
            try:
                listener(changes, topics)
            except Exception as error:  # one listener must not silence the others
                self.log.error("commit listener failed", error=repr(error))

    def stop_soon(self) -> None:
        """Take no more writes: a sync has failed (I4). From any thread."""
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop)

    def _stop(self) -> None:
        self._refusal = "a sync has failed"
        self.stopped.set()

    async def close(self) -> None:
        """Commit what has been asked for, answer it, then close everything. May be called twice."""
        clean = self._refusal is None
        if self._refusal == "closed":
            return
        self._refusal = "closed"
        await self._turnstile.emptied()
        await self._loop.run_in_executor(None, self._committer.close)
        clean = clean and not self.stopped.is_set()
        self._pool.shutdown(wait=True)
        self._completing.shutdown(wait=True)
        self._reader.close()
        while not self._apart.empty():
            self._apart.get().close()
        self.packs.close()
        self.opened.pack = self._committer.pack
        await self._loop.run_in_executor(None, self._close_folder, clean)

    def _close_folder(self, clean: bool) -> None:
        close_folder(self.opened, self.clock, self.log, self.files, clean=clean)


async def open_store(
    folder: Path,
    config: StoreConfig | None = None,
    *,
    owner: str,
    log: Log = SILENT,
    clock: Clock = system_clock,
    files: Files | None = None,
    vfs: str | None = None,
    fresh_ok: bool = True,
) -> SqliteStore:
    """Open the store in a folder, made and brought up to date as needed, after any recovery.

    owner: the slot of this process: "w0", "w1" ... for workers, "m" for maintenance; "cli" takes a
    free one. fresh_ok: whether a store may be made where there is none.
    Raises StoreError if the slot is in use, the schema does not fit or the disk refuses.
    """
    config = config or StoreConfig()
    files = files or OsFiles()

    def opening() -> Opened:
        return open_folder(
            folder, config, owner=owner, log=log, clock=clock, files=files, vfs=vfs,
            fresh_ok=fresh_ok,
        )  # fmt: skip

    opened = await asyncio.get_running_loop().run_in_executor(None, opening)
    try:
        return SqliteStore(opened, config, log=log, clock=clock, files=files, vfs=vfs)
    except BaseException:
        close_folder(opened, clock, log, files, clean=False)
        raise
