"""The store of several servers: rows and message octets in PostgreSQL.

The same operations as with SQLite run here; `commit` says how, `readers` how reads see one moment,
`signals` how servers hear of each other's changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from postillon.clock import Clock, system_clock
from postillon.log import SILENT, Log
from postillon.store.batch import Job
from postillon.store.config import StoreConfig
from postillon.store.operation import (
    EVERYTHING,
    BlobRef,
    CommitListener,
    NewBlob,
    Steps,
    StoreStopped,
    Tx,
    WriteOperation,
)
from postillon.store.pack import MAX_PAYLOAD
from postillon.store.postgresql import objects
from postillon.store.postgresql.ahead import Ahead
from postillon.store.postgresql.commit import Committer, NameTaken, writing_connection
from postillon.store.postgresql.connection import Connection, close
from postillon.store.postgresql.node import node_of
from postillon.store.postgresql.readers import Readers
from postillon.store.postgresql.schema import LEADER_LOCK, LOCK_CLASS, migrate
from postillon.store.postgresql.signals import Signals
from postillon.store.slots import CLI, FileLock, claim

T = TypeVar("T")

NAME_WAIT_S = 10.0  # for the session of a process that was killed to be noticed
MAX_OBJECT = 500 * 1024 * 1024  # octets of one row's content; PostgreSQL's own limit is 1 GiB


class PostgresStore:
    """The Store of store.operation. Belongs to the loop in which it was opened."""

    def __init__(
        self,
        folder: Path,
        slot: FileLock,
        owner: str,
        connection: Connection,
        config: StoreConfig,
        *,
        log: Log,
        clock: Clock,
    ) -> None:
        self.folder = folder
        self.owner = owner
        self.config = config
        self.stopped = asyncio.Event()  # never set: a lost connection is found again
        self.log = log
        self.clock = clock
        self._slot = slot
        self._loop = asyncio.get_running_loop()
        self._listeners: list[CommitListener] = []
        self._closed = False
        self._long = asyncio.Semaphore(config.readers)
        self._readers = Readers(config, owner, log)
        self._ahead = Ahead()
        self._signals = Signals(config, owner, log)
        self._committer = Committer(
            connection, config, owner=owner, clock=clock, log=log, finish=self._finish,
            unsure=self._unsure,
        )  # fmt: skip

    # Reading

    async def query(self, steps: Steps[T]) -> T:
        return await self._readers.read(steps)

    async def read_apart(self, steps: Steps[T]) -> T:
        async with self._long:  # they must not take all connections from the short reads
            return await self._readers.read(steps)

    async def ahead(self, refs: Sequence[BlobRef], octets: int) -> None:
        missing = self._ahead.missing(refs, octets)
        if len(missing) > 1:
            async with self._readers.connection() as connection:
                await self._ahead.load(connection, missing, octets)

    async def fetch_together(self, wanted: Sequence[tuple[BlobRef, int]]) -> Sequence[bytes | None]:
        most = max((stop for _, stop in wanted), default=0)
        await self.ahead([ref for ref, _ in wanted], most)
        return [self._ahead.read(ref, 0, stop) for ref, stop in wanted]

    async def fetch(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        known = self._ahead.read(ref, start, stop)
        if known is not None:
            return known
        async with self._readers.connection() as connection:
            return await objects.read(connection, ref, start, stop)

    # Writing

    async def write(self, operation: WriteOperation[T], *blobs: NewBlob) -> T:
        if self._closed:
            raise StoreStopped("closed")
        for blob in blobs:
            if len(blob.content) > min(MAX_PAYLOAD, MAX_OBJECT):
                raise ValueError("a blob is too large for an object")
        future: asyncio.Future[T] = self._loop.create_future()
        self._committer.join(Job(operation, blobs, future))
        return await future

    def on_commit(self, listener: CommitListener) -> None:
        """Call `listener` after each batch of this process that changed or announced something."""
        self._listeners.append(listener)

    async def listen(self, listener: CommitListener) -> None:
        """Call `listener` with what other processes, of any server, have changed or announced."""
        await self._signals.listen(listener)

    async def leads(self) -> bool:
        """Whether the maintenance of the whole database is this process's, of all servers'.

        The first that asks has it as long as its writing connection lasts. Raises StoreError.
        """
        return await self.write(_lead)

    @property
    def batches(self) -> tuple[int, int]:
        """How many batches and operations have been committed."""
        return self._committer.batches, self._committer.operations

    def _finish(self, batch: list[Job], changes: list[tuple[int, int]], topics: list[str]) -> None:
        for job in batch:
            if job.future.done():
                continue  # the caller was cancelled
            if job.error is None:
                job.future.set_result(job.result)
            else:
                job.future.set_exception(job.error)
        if changes or topics:
            # Behind the callers, whose turn has just been scheduled: answers, then notifications.
            self._loop.call_soon(self._notify, changes, list(dict.fromkeys(topics)))

    def _notify(self, changes: list[tuple[int, int]], topics: list[str]) -> None:
        self._signals.tell(changes, topics)
        for listener in self._listeners:
            try:
                listener(changes, topics)
            except Exception as error:  # one listener must not silence the others
                self.log.error("commit listener failed", error=repr(error))

    def _unsure(self) -> None:
        """A commit was cut off: it may have taken place."""
        self._loop.call_soon(self._notify, [], [EVERYTHING])

    async def close(self) -> None:
        """Commit what has been asked for, answer it, then close everything. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await self._committer.close()
        await asyncio.sleep(0)  # the last batch is answered, and told to the signals
        await self._signals.close()
        await self._readers.close()
        self._slot.close()


async def open_postgres(
    folder: Path,
    config: StoreConfig,
    *,
    owner: str,
    log: Log = SILENT,
    clock: Clock = system_clock,
    fresh_ok: bool = True,
) -> PostgresStore:
    """Open the store in the configured database, made and brought up to date as needed.

    folder: this server's own data; it holds the name of the node and the slots of its processes.
    owner: as with SQLite; the store's own `owner` has the node's name behind it.
    fresh_ok: whether a store may be made where there is none. Raises StoreError.
    """
    loop = asyncio.get_running_loop()
    folder, full, slot = await loop.run_in_executor(None, _claim, folder, owner)
    try:
        connection = await _connection(config, full)
        try:
            for step in await migrate(connection, clock, fresh_ok=fresh_ok):
                log.info("schema migrated", migration=step)
            if (
                owner != CLI
                and await connection.fetchval("SELECT current_setting('fsync')") == "off"
            ):
                log.warning("fsync is off in PostgreSQL: a power cut loses mail")
        except BaseException:
            await close(connection)
            raise
    except BaseException:
        slot.close()
        raise
    return PostgresStore(folder, slot, full, connection, config, log=log, clock=clock)


async def _connection(config: StoreConfig, owner: str) -> Connection:
    """The first writing connection. Raises StoreError."""
    loop = asyncio.get_running_loop()
    until = loop.time() + NAME_WAIT_S
    while True:
        try:
            return await writing_connection(config, owner)
        except NameTaken:
            if loop.time() >= until:
                raise
        await asyncio.sleep(NAME_WAIT_S / 50)


def _lead(tx: Tx) -> Steps[bool]:
    """A lock of the session, not of the transaction; who has it gets it again."""
    rows = yield f"SELECT pg_try_advisory_lock({LOCK_CLASS}, {LEADER_LOCK})", ()
    return bool(rows[0][0])


def _claim(folder: Path, owner: str) -> tuple[Path, str, FileLock]:
    """The folder, the owner's name among all servers, and its slot. Blocks. Raises StoreError."""
    folder = folder.resolve()
    run = folder / "run"
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    name, slot = claim(run, owner)
    try:
        return folder, f"{name}.{node_of(folder)}", slot
    except BaseException:
        slot.close()
        raise
