"""Moving the write-ahead log into the database, apart from the commits.

Workers never do it: a checkpoint inside a commit would make its callers wait. Here the moving goes on
beside them. Only when the log has outgrown several times its measure, because readers or writers never
paused, are the writers held for the moment it takes to begin the log anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import apsw

from postillon.store.database import (
    Execute,
    close,
    connect,
    page_octets,
    sync_failed,
    translated,
)
from postillon.store.sqlite import SqliteStore

OVERGROWN = 8  # times checkpoint_octets from which writers are held for a moment
FRAME_HEADER = 24  # octets before each page in the log
MOMENT_MS = 100  # how long writers are held for readers to end; a backup reads for minutes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What the log held, and how much of that is in the database now, in octets."""

    log: int
    moved: int


async def checkpoint(store: SqliteStore, *, force: bool = False) -> Checkpoint:
    """Move the log into the database if it has reached its measure; to be called every few seconds.

    force: whatever its size. Raises StoreError; if a sync failed, the store has stopped, and every
    process must end: what the database file holds is not known until the log is replayed (I4).
    """
    return await store.apart(_checkpoint, store, force)


def _checkpoint(store: SqliteStore, force: bool) -> Checkpoint:
    store.packs.trim()
    bound = store.config.checkpoint_octets
    connection = connect(store.folder, store.config, writes=True, vfs=store.vfs)
    try:
        # The file does not shrink; how much of it is in use only the log's index knows.
        execute: Execute = connection.cursor().execute
        execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        frame = page_octets(execute) + FRAME_HEADER
        frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_NOOP)
        used = (frames - moved) * frame
        if force or used >= bound:
            frames, moved = connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            if frames * frame >= OVERGROWN * bound:
                lock = store.opened.lock_again()
                try:
                    connection.set_busy_timeout(MOMENT_MS)
                    with lock:
                        frames, moved = connection.wal_checkpoint(
                            mode=apsw.SQLITE_CHECKPOINT_RESTART
                        )
                finally:
                    lock.close()
    except apsw.BusyError:
        store.log.info("checkpoint waits for a long read")
        return Checkpoint(0, 0)
    except apsw.Error as error:
        if sync_failed(error):
            store.log.error("checkpoint sync failed", error=str(error))
            store.stop_soon()
        raise translated(error) from error
    finally:
        close(connection)
    return Checkpoint(max(frames, 0) * frame, max(moved, 0) * frame)
