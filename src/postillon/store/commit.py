"""The parallel commit: batches of operations become durable, one batch after the other.

While a batch is being committed the next one collects. For each batch the thread of
the store, or for steps 1 and 2 of a light one the loop's thread,

1. appends the blobs to the pack and starts its fdatasync in a second thread or, on a quick disk, lets
   the disk begin with them; with an operation that is no new mail the octets are synced here, since
   its rows may take the place of others that somebody was told of (a report that of its message),
2. takes the lock shared by all writers, runs the operations in one transaction, each in a savepoint,
   records how much of the pack was durable before (invariant I3), commits without sync, unlocks,
3. syncs the write-ahead log, and the pack or waits for its sync,
4. wakes the loop once: answers, then notifications (I1, I2).

States of a batch and what a crash leaves of it: appended (bytes in the pack that no row names, cut off
at the next start); committed, not synced (the rows may or may not be there, the bytes too; rows without
sound bytes are removed at the next start; nobody was told of either); synced (everything).
"""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue

import apsw

from postillon.clock import Clock
from postillon.log import Log
from postillon.store import counters
from postillon.store.batch import Batch, BatchTx, Job, SyncThread
from postillon.store.config import StoreConfig
from postillon.store.database import run, sync_failed, translated
from postillon.store.files import Files
from postillon.store.large import LargeBlob
from postillon.store.operation import (
    BlobRef,
    NewBlob,
    StoreError,
    StoreFull,
    StoreStopped,
)
from postillon.store.pack import OPEN, SEALED, PackWriter, create_pack
from postillon.store.slots import FileLock

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
NOWHERE = BlobRef(0, 0, 0)
QUICK_S = 0.001  # a sync within it costs less than a second thread for another at the same time
TAKEN = 1_000  # numbers of packs tried at most, when files lie there that no row names


class SyncFailed(Exception):
    """The disk did not take what it had been given. Final."""


Finish = Callable[[Batch], None]


class Committer:
    """Owns the writing connection, the open pack and the log's descriptor, for one batch at a time.

    finish: called in its thread with a batch that is durable or has failed; must not raise.
    stop: called in its thread when a sync has failed; afterwards every job fails with StoreStopped.
    timer: seconds, to know how quick the disk is.
    """

    def __init__(
        self,
        *,
        connection: apsw.Connection,
        config: StoreConfig,
        files: Files,
        packs: Path,
        wal_fd: int,
        lock: FileLock,
        owner: str,
        pack: PackWriter | None,
        clock: Clock,
        log: Log,
        finish: Finish,
        stop: Callable[[], None],
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.pack = pack
        self.batches = 0
        self.operations = 0
        self._connection = connection
        self._execute = connection.cursor().execute
        self._config = config
        self._files = files
        self._packs = packs
        self._wal_fd = wal_fd
        self._lock = lock
        self._owner = owner
        self._clock = clock
        self._log = log
        self._finish = finish
        self._stop = stop
        self._timer = timer
        self._usual = 0.0  # seconds of a sync: the least of late, as a thread also waits for others
        self._stopped = False
        self._held = False  # the lock of all writers, for the batch that is about to begin
        self._inbox: SimpleQueue[Batch | None] = SimpleQueue()
        self._syncer = SyncThread(f"store-sync-{owner}")
        self._thread = threading.Thread(target=self._run, name=f"store-{owner}", daemon=True)
        self._thread.start()

    def free(self) -> bool:
        """Take the lock of all writers for the batch that begins now; False if another has it."""
        try:
            return self._take()
        except OSError:
            return True  # the batch will meet it too, and says so to those who wait

    def _take(self) -> bool:
        self._held = self._held or self._lock.try_acquire()
        return self._held

    def begin(self, batch: Batch) -> None:
        """Take the next batch, once the last one is finished. In the loop's thread.

        A light one is written here if the pack has room and no other process holds the lock: threads
        that want the interpreter by turns cost more than its few statements. Syncs are the thread's.
        """
        pack = self.pack
        room = pack is not None and pack.size < self._config.pack_octets
        try:
            if room and batch.light and not self._stopped:
                self._append(batch)
                if self._take():
                    self._transact(batch)
        except Exception as error:  # the thread deals with it
            batch.trouble = error
        finally:
            if self._held:
                self._held = False
                self._lock.release()
            self._inbox.put(batch)

    def close(self) -> None:
        """End. Blocks; no batch may be under way."""
        self._inbox.put(None)
        self._thread.join()
        self._syncer.close()

    # The thread

    def _run(self) -> None:
        while (batch := self._inbox.get()) is not None:
            self._commit(batch)

    def _commit(self, batch: Batch) -> None:
        if not self._stopped:
            try:
                self._make_durable(batch)
            except SyncFailed as error:
                self._stopped = True
                self._log.error("store sync failed", error=str(error))
                self._stop()
            except Exception as error:  # whatever it was, nobody may wait for ever
                self._log.error("store batch failed", error=repr(error))
                _fail(
                    batch.jobs, error if isinstance(error, StoreError) else StoreError(repr(error))
                )
                batch.forget()
        if self._stopped:
            for job in batch.jobs:  # even those committed: that they are durable is not known
                job.error = StoreStopped("the store has stopped")
            batch.forget()
        self.batches += 1
        self.operations += len(batch.jobs)
        self._finish(batch)

    def _make_durable(self, batch: Batch) -> None:
        try:
            if batch.trouble is not None:
                raise batch.trouble
            if not batch.appended:
                self._append(batch)
            if not batch.committed:
                with self._lock:
                    self._transact(batch)
            self._sync_log()
        finally:
            if batch.syncing:
                self._sync_pack(batch.apart)

    def _sync_log(self) -> None:
        began = self._timer()
        try:
            self._files.sync_data(self._wal_fd)
        except OSError as error:
            raise SyncFailed(f"write-ahead log: {error}") from error
        took = self._timer() - began
        self._usual = min(took, self._usual * 1.1) if self._usual else took

    def _sync_pack(self, apart: bool) -> None:
        """Sync the pack, or wait for its sync apart. Raises SyncFailed."""
        assert self.pack is not None
        try:
            if apart:
                self._syncer.join()
            else:
                self.pack.sync()
        except OSError as error:
            raise SyncFailed(f"pack: {error}") from error

    # Packs

    def _append(self, batch: Batch) -> None:
        """Write the blobs and begin their sync. Without room, the jobs with blobs have failed."""
        batch.appended = True
        blobs: list[NewBlob] = []
        count = 0
        for job in batch.jobs:
            if job.blobs:
                job.first = count
                count += len(job.blobs)
                blobs += [
                    blob for blob, own in zip(job.blobs, job.large, strict=True) if own is None
                ]
        batch.refs = [NOWHERE] * count
        if not blobs:
            return
        try:
            pack = self.pack
            if pack is None or pack.size >= self._config.pack_octets:
                pack = self._next_pack()
            refs = pack.append(blobs)
        except OSError as error:
            self._log.warning("pack append failed", error=str(error), blobs=len(blobs))
            failure = refusal(error)
        except StoreError as error:
            failure = error
        else:
            if len(refs) == count:
                batch.refs = refs
            else:
                self._spread(batch, refs)
            batch.synced, batch.grown = pack.synced, True
            if batch.octets_first:
                self._sync_pack(apart=False)
                return
            batch.syncing = True
            batch.apart = self._usual > QUICK_S
            if batch.apart:
                self._syncer.start(pack)
            else:
                pack.sync_soon()
            return
        _fail([job for job in batch.jobs if job.blobs], failure)

    def _spread(self, batch: Batch, refs: Iterable[BlobRef]) -> None:
        """Say where the blobs lie that have no pack of their own."""
        left = iter(refs)
        large = [own for job in batch.jobs for own in job.large]
        batch.refs = [next(left) if own is None else NOWHERE for own in large]

    def _next_pack(self) -> PackWriter:
        """Seal the pack that is full and begin one. Its file, name and row are durable on return."""
        old = self.pack
        with self._lock:
            self._begin()
            created: PackWriter | None = None
            try:
                created = self._create_pack()
                now = self._clock()
                if old is not None:
                    self._execute(
                        "UPDATE pack SET state = ?, size = ?, synced = ?, changed_at = ?"
                        " WHERE pack = ?",
                        (SEALED, old.size, old.synced, now, old.pack),
                    )
                self._execute(
                    "INSERT INTO pack (pack, owner, state, size, synced, changed_at)"
                    " VALUES (?, ?, ?, ?, ?, ?)",
                    (created.pack, self._owner, OPEN, created.size, created.synced, now),
                )
                self._execute("COMMIT")
            except BaseException as error:
                self._roll_back()
                if created is not None:
                    self._discard(created)
                if isinstance(error, apsw.Error):
                    raise self._trouble(error) from error
                raise
        try:
            self._files.sync_data(self._wal_fd)
        except OSError as error:
            raise SyncFailed(f"write-ahead log: {error}") from error
        self.pack = created
        if old is not None:
            old.close()
        return created

    def _create_pack(self) -> PackWriter:
        for _ in range(TAKEN):
            number = run(self._execute, counters.next_id("pack"))
            try:
                return create_pack(self._files, self._packs, number)
            except FileExistsError:
                continue  # left by a crash before its row was durable; swept later
        raise StoreError("too many pack files that no row names")

    def _discard(self, pack: PackWriter) -> None:
        try:
            pack.close()
            self._files.unlink(pack.path)
        except OSError as error:
            self._log.warning("pack not removed", pack=pack.pack, error=str(error))

    # Rows

    def _transact(self, batch: Batch) -> None:
        """Run the operations and commit; the caller holds the lock. Failures are the jobs' own."""
        execute = self._execute
        batch.committed = True
        ready = [job for job in batch.jobs if job.error is None]
        if not ready:
            return
        self._begin()
        try:
            now = self._clock()
            self._name(ready, batch, now)
            for job in ready:
                self._run_apart(job, batch, now)
            if batch.grown and self.pack is not None:
                execute(
                    "UPDATE pack SET size = ?, synced = ?, changed_at = ? WHERE pack = ?",
                    (self.pack.size, batch.synced, now, self.pack.pack),
                )
            execute("COMMIT")
        except BaseException as error:
            self._roll_back()
            batch.forget()
            failure = self._trouble(error) if isinstance(error, apsw.Error) else error
            self._abandon(batch)
            if not isinstance(failure, StoreError):
                raise
            self._log.warning("commit failed", error=str(failure), operations=len(ready))
            _fail(ready, failure)

    def _name(self, jobs: Sequence[Job], batch: Batch, now: int) -> None:
        """Make packs of the large blobs: names and octets are durable before their rows can be."""
        for job in jobs:
            for index, own in enumerate(job.large, job.first):
                if own is None:
                    continue
                if own.ref is None:  # else an operation that failed has given it a name already
                    batch.named.append(own)
                    self._adopt(own, now)
                assert own.ref is not None
                batch.refs[index] = own.ref
        if batch.named:
            try:
                self._files.sync_folder(self._packs)
            except OSError as error:
                raise SyncFailed(f"folder of packs: {error}") from error

    def _adopt(self, blob: LargeBlob, now: int) -> None:
        for _ in range(TAKEN):
            number = run(self._execute, counters.next_id("pack"))
            try:
                size = blob.adopt(self._files, self._packs, number)
            except FileExistsError:
                continue
            except OSError as error:
                raise refusal(error) from error
            self._execute(
                "INSERT INTO pack (pack, owner, state, size, synced, changed_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (number, self._owner, SEALED, size, size, now),
            )
            return
        raise StoreError("too many pack files that no row names")

    def _abandon(self, batch: Batch) -> None:
        for blob in batch.named:
            try:
                blob.abandon(self._files, self._packs)
            except OSError as error:
                self._log.warning("pack not removed", error=str(error))

    def _run_apart(self, job: Job, batch: Batch, now: int) -> None:
        """Run an operation in a savepoint, so that one that fails undoes itself only."""
        execute = self._execute
        tx = BatchTx(now, batch.refs, job.first, [], [])
        execute("SAVEPOINT operation")
        try:
            job.result = run(execute, job.operation(tx))
        except Exception as error:  # it belongs to the caller
            job.error = self._trouble(error) if isinstance(error, apsw.Error) else error
            if not self._connection.in_transaction:  # a full disk may end it all
                raise job.error from error
            execute("ROLLBACK TO operation")
        else:
            batch.changes += tx.changes
            batch.topics += tx.topics
        execute("RELEASE operation")

    def _begin(self) -> None:
        try:
            self._execute("BEGIN IMMEDIATE")
        except apsw.Error as error:
            raise self._trouble(error) from error

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._execute("ROLLBACK")
            except apsw.Error as error:
                self._log.error("rollback failed", error=str(error))

    def _trouble(self, error: apsw.Error) -> StoreError:
        if sync_failed(error):
            raise SyncFailed(f"database: {error}") from error
        return translated(error)


def refusal(error: OSError) -> StoreError:
    """Our word for why octets could not be written."""
    if error.errno in NO_ROOM:
        return StoreFull("no room for message octets")
    return StoreError(f"message octets cannot be written: {error}")


def _fail(jobs: Sequence[Job], error: StoreError) -> None:
    for job in jobs:
        job.result = None
        job.error = error
