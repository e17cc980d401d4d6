"""Connections to the SQLite database, and how an operation is run on one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import apsw

from postillon.store.config import StoreConfig
from postillon.store.operation import Row, Steps, StoreError, StoreFull, T

NAME = "postillon.db"
STATEMENTS = 400  # prepared statements each connection keeps
BUSY_MS = 10_000  # only recovery of the log and the last close ever hold a lock we wait for here

Execute = Callable[..., Any]  # Any: apsw's cursor, whose rows are Row


def connect(
    folder: Path, config: StoreConfig, *, writes: bool, vfs: str | None = None
) -> apsw.Connection:
    """Open the database, made if it is missing. Raises StoreError."""
    try:
        connection = apsw.Connection(str(folder / NAME), vfs=vfs, statementcachesize=STATEMENTS)
        connection.set_busy_timeout(BUSY_MS)
        execute = connection.cursor().execute
        [(mode,)] = execute("PRAGMA journal_mode = WAL").fetchall()
        if mode != "wal":
            raise StoreError(f"the database cannot use a write-ahead log but only {mode!r}")
        # The commit syncs the log itself, outside the lock (docs/store.md); NORMAL keeps the order
        # of log and database at checkpoints. Checkpoints belong to the maintenance process.
        execute("PRAGMA synchronous = NORMAL")
        connection.wal_autocheckpoint(0)
        execute("PRAGMA trusted_schema = OFF")
        execute("PRAGMA temp_store = MEMORY")
        execute(f"PRAGMA cache_size = -{max(config.page_cache // 1024, 64)}")
        if not writes:
            execute("PRAGMA query_only = ON")
            if vfs is None:
                execute(f"PRAGMA mmap_size = {config.mapped}").fetchall()
    except apsw.Error as error:
        raise translated(error) from error
    return connection


def translated(error: apsw.Error) -> StoreError:
    """Our word for what SQLite says."""
    if isinstance(error, apsw.FullError):
        return StoreFull("no room for the database")
    return StoreError(f"{type(error).__name__}: {error}")


def sync_failed(error: apsw.Error) -> bool:
    """Whether SQLite itself could not sync: as final as when we cannot (FAULTS 48)."""
    return getattr(error, "extendedresult", 0) in (
        apsw.SQLITE_IOERR_FSYNC,
        apsw.SQLITE_IOERR_DIR_FSYNC,
    )


def run(execute: Execute, steps: Steps[T]) -> T:
    """Run an operation to its end. What SQLite refuses is raised inside it, where it yielded."""
    send = steps.send
    try:
        sql, arguments = send(None)
        while True:
            try:
                rows: list[Row] = execute(sql, arguments).fetchall()
            except apsw.Error as error:
                sql, arguments = steps.throw(error)
            else:
                sql, arguments = send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
