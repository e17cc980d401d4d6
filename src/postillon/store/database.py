"""Connections to the SQLite database, and how an operation is run on one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw

from postillon.store.config import StoreConfig
from postillon.store.operation import Row, Statement, Steps, StoreError, StoreFull, T

NAME = "postillon.db"
STATEMENTS = 400  # prepared statements each connection keeps
# Octets of a page of a new database. A delivery changes a few octets on each of many pages, and each of
# them is written whole; reading costs the same as with pages of twice the size (docs/performance.md).
PAGE = 2048
BUSY_MS = 10_000  # only recovery of the log and the last close ever hold a lock we wait for here

Execute = Callable[..., Any]  # Any: apsw's cursor, whose rows are Row


def connect(
    folder: Path, config: StoreConfig, *, writes: bool, vfs: str | None = None
) -> apsw.Connection:
    """Open the database, made if it is missing. Raises StoreError."""
    try:
        connection = apsw.Connection(str(folder / NAME), vfs=vfs, statementcachesize=STATEMENTS)
    except apsw.Error as error:
        raise translated(error) from error
    try:
        _set_up(connection, config, writes, mapped=config.mapped if vfs is None else 0)
    except BaseException as error:
        close(connection)
        if isinstance(error, apsw.Error):
            raise translated(error) from error
        raise
    return connection


def _set_up(connection: apsw.Connection, config: StoreConfig, writes: bool, mapped: int) -> None:
    connection.set_busy_timeout(BUSY_MS)
    execute = connection.cursor().execute
    execute(f"PRAGMA page_size = {PAGE}")  # one that exists keeps what it was made with
    [(mode,)] = execute("PRAGMA journal_mode = WAL").fetchall()
    if mode != "wal":
        raise StoreError(f"the database cannot use a write-ahead log but only {mode!r}")
    # The commit syncs the log itself, outside the lock (docs/store.md); NORMAL keeps the order of
    # log and database at checkpoints. Checkpoints belong to the maintenance process.
    execute("PRAGMA synchronous = NORMAL")
    connection.wal_autocheckpoint(0)
    execute("PRAGMA trusted_schema = OFF")
    # A plan is made once. Else SQLite makes it anew whenever a parameter that might matter to it has
    # another value, such as the address of every look-up.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    execute("PRAGMA temp_store = MEMORY")
    execute(f"PRAGMA cache_size = -{max(config.page_cache // 1024, 64)}")
    if not writes:
        execute("PRAGMA query_only = ON")
        execute(f"PRAGMA mmap_size = {mapped}").fetchall()


def page_octets(execute: Execute) -> int:
    """The size of this database's pages."""
    [(octets,)] = execute("PRAGMA page_size").fetchall()
    return int(octets)


def close(connection: apsw.Connection) -> None:
    """Close, whatever the disk says: the last one to close moves the log, which is no duty."""
    with suppress(apsw.Error):
        connection.close()


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
    send: Callable[[Any], Statement] = steps.send
    try:
        sql, arguments = send(None)
        while True:
            try:
                rows: list[Row] = execute(sql, arguments).fetchall()
            except apsw.Error as error:
                sql, arguments = steps.throw(error)
                continue
            sql, arguments = send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
