"""Group commit on PostgreSQL: one task that makes batches of operations durable.

While a batch is being committed the next one collects; there is no timer. For each batch the task

1. begins a transaction and writes the octets of its blobs as one row of `object`,
2. takes the commit lock, an advisory lock of the database that ends with the transaction: operations
   are written for one writer at a time, as SQLite has it, and so they are right on several servers,
3. runs the operations and commits with `synchronous_commit`; if one of several fails, the batch is
   rolled back and run again with a savepoint around each, so that the others stand,
4. answers, then tells listeners and the other processes.

A crash before the commit returns leaves nothing of the batch. If the connection is lost while the
commit runs, nobody knows whether it took place: the callers are told that it failed, and everybody
is told to look again once there is a connection.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from postillon.clock import Clock
from postillon.log import Log
from postillon.store.batch import BatchTx, Job
from postillon.store.config import StoreConfig
from postillon.store.operation import BlobRef, NewBlob, StoreError
from postillon.store.postgresql import objects
from postillon.store.postgresql.connection import (
    LOCK_MS,
    REFUSED,
    STALLED_MS,
    Connection,
    Unreachable,
    close,
    connect,
    run,
    translated_error,
)
from postillon.store.postgresql.schema import COMMIT_LOCK, LOCK_CLASS, OWNER_CLASS

FIRST_WAIT_S, LONGEST_WAIT_S = 0.1, 5.0  # between two attempts to connect; doubled each time
_LOCK = f"SELECT pg_advisory_xact_lock({LOCK_CLASS}, {COMMIT_LOCK})"

Finish = Callable[[list[Job], list[tuple[int, int]], list[str]], None]


class NameTaken(StoreError):
    """A process of this name has a session: a former life of ours, or somebody who must not be."""


class ChainingTx(BatchTx):
    """What operations use here."""

    __slots__ = ()
    chains = True


class Committer:
    """Owns the writing connection. The first one comes from whoever opens the store.

    finish: called with a batch that is durable or has failed; must not raise.
    unsure: called when it is not known whether a batch was committed.
    """

    def __init__(
        self,
        connection: Connection,
        config: StoreConfig,
        *,
        owner: str,
        clock: Clock,
        log: Log,
        finish: Finish,
        unsure: Callable[[], None],
    ) -> None:
        self.batches = 0
        self.operations = 0
        self._connection: Connection | None = connection
        self._config = config
        self._owner = owner
        self._clock = clock
        self._log = log
        self._finish = finish
        self._unsure = unsure
        self._inbox: deque[Job] = deque()
        self._arrived = asyncio.Event()
        self._closing = False
        self._wait_s = FIRST_WAIT_S
        self._not_before = 0.0  # of the loop's clock: the next attempt to connect
        self._task = asyncio.create_task(self._run(), name=f"store-{owner}")

    def join(self, job: Job) -> None:
        """Add a job to the next batch."""
        self._inbox.append(job)
        self._arrived.set()

    async def close(self) -> None:
        """Commit what has joined, then end."""
        self._closing = True
        self._arrived.set()
        await self._task
        if self._connection is not None:
            await close(self._connection)

    async def _run(self) -> None:
        while True:
            if not self._inbox:
                if self._closing:
                    return
                self._arrived.clear()
                await self._arrived.wait()
                continue
            batch = self._next_batch()
            changes: list[tuple[int, int]] = []
            topics: list[str] = []
            try:
                await self._commit(batch, changes, topics)
            except Exception as error:  # whatever it was, nobody may wait for ever
                failure = translated_error(error)
                self._log.warning("commit failed", error=str(failure), operations=len(batch))
                await self._give_up(failure)
                for job in batch:
                    job.result, job.error = None, failure
                changes.clear()
                topics.clear()
            self.batches += 1
            self.operations += len(batch)
            self._finish(batch, changes, topics)

    def _next_batch(self) -> list[Job]:
        inbox = self._inbox
        batch = [inbox.popleft()]
        octets = batch[0].octets
        while inbox and len(batch) < self._config.batch_operations:
            octets += inbox[0].octets
            if octets > self._config.batch_octets:
                break  # it begins the next batch
            batch.append(inbox.popleft())
        return batch

    async def _commit(
        self, batch: list[Job], changes: list[tuple[int, int]], topics: list[str]
    ) -> None:
        """Without savepoints, which most batches do not need; else once more, with them."""
        if not await self._attempt(batch, changes, topics, careful=False):
            await self._attempt(batch, changes, topics, careful=True)

    async def _attempt(
        self,
        batch: list[Job],
        changes: list[tuple[int, int]],
        topics: list[str],
        *,
        careful: bool,
    ) -> bool:
        """Run and commit a batch. False: one of several operations failed, and nothing remains."""
        connection = await self._connected()
        execute = connection.execute
        await execute("BEGIN")
        refs = await self._write_blobs(connection, batch)
        await execute(_LOCK)
        now = self._clock()
        done = with_content = 0
        for job in batch:
            tx = ChainingTx(now, refs, job.first, [], [])
            if careful:
                await execute("SAVEPOINT operation")
            try:
                job.result = await run(connection, job.operation(tx))
            except Exception as error:  # it belongs to the caller
                if connection.is_closed() or isinstance(error, Unreachable):
                    raise
                if not careful and len(batch) > 1:
                    await execute("ROLLBACK")
                    changes.clear()
                    topics.clear()
                    return False
                job.error = error
                if careful:
                    await execute("ROLLBACK TO operation")
            else:
                done += 1
                with_content += bool(job.blobs)
                changes += tx.changes
                topics += tx.topics
        if not done:
            await execute("ROLLBACK")
            return True
        if refs and not with_content:
            await connection.execute("DELETE FROM object WHERE pack = $1", refs[0].pack)
        try:
            ended = await execute("COMMIT")
        except BaseException:
            self._unsure()
            raise
        if ended != "COMMIT":  # PostgreSQL's answer where a statement was refused: all is undone
            raise StoreError("the transaction was rolled back")
        return True

    async def _write_blobs(self, connection: Connection, batch: list[Job]) -> list[BlobRef]:
        blobs: list[NewBlob] = []
        for job in batch:
            if job.blobs:
                job.first = len(blobs)
                blobs += job.blobs
        return await objects.insert(connection, blobs, self._clock()) if blobs else []

    # The connection

    async def _connected(self) -> Connection:
        """Raises StoreError at once while it is not yet time to try again."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        self._connection = None
        loop = asyncio.get_running_loop()
        if loop.time() < self._not_before:
            raise Unreachable("PostgreSQL cannot be reached; trying again soon")
        try:
            self._connection = await writing_connection(self._config, self._owner)
        except StoreError:
            self._not_before = loop.time() + self._wait_s
            self._wait_s = min(2 * self._wait_s, LONGEST_WAIT_S)
            raise
        self._wait_s = FIRST_WAIT_S
        self._log.info("database connected again")
        return self._connection

    async def _give_up(self, failure: StoreError) -> None:
        """After a failure nothing is known of the transaction: end it with its connection."""
        connection = self._connection
        if connection is None:
            return
        if not connection.is_closed() and not isinstance(failure, Unreachable):
            try:
                await connection.execute("ROLLBACK")
            except REFUSED:
                pass
            else:
                return
        self._connection = None
        await close(connection)


async def writing_connection(config: StoreConfig, owner: str) -> Connection:
    """A connection that writes, with the mark that this owner is alive.

    Raises NameTaken, or another StoreError.
    """
    connection = await connect(
        config,
        owner,
        lock_timeout=str(LOCK_MS),
        idle_in_transaction_session_timeout=str(STALLED_MS),
    )
    try:
        # Two processes of one name would take each other's work in hand for their own.
        free = await connection.fetchval(
            f"SELECT pg_try_advisory_lock({OWNER_CLASS}, hashtext($1))", owner
        )
    except BaseException as error:
        connection.terminate()
        if isinstance(error, REFUSED):
            raise translated_error(error) from error
        raise
    if not free:
        await close(connection)
        raise NameTaken(f"another process uses the store as {owner!r}")
    return connection
