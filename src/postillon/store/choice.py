"""Which database keeps the store: SQLite in the data folder, or PostgreSQL if one is configured."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from postillon.clock import Clock, system_clock
from postillon.log import SILENT, Log
from postillon.store.config import StoreConfig
from postillon.store.operation import StoreError
from postillon.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from postillon.store.postgresql.store import PostgresStore

    AnyStore = SqliteStore | PostgresStore


async def open_any(
    folder: Path,
    config: StoreConfig,
    *,
    owner: str,
    log: Log = SILENT,
    clock: Clock = system_clock,
    fresh_ok: bool = True,
) -> AnyStore:
    """Open the configured store, made and brought up to date as needed.

    folder: the server's data folder. owner: the slot of this process, see `open_store`.
    fresh_ok: whether a store may be made where there is none. Raises StoreError.
    """
    if not config.database:
        return await open_store(
            folder, config, owner=owner, log=log, clock=clock, fresh_ok=fresh_ok
        )
    try:
        from postillon.store.postgresql.store import open_postgres
    except ImportError as error:
        hint = 'PostgreSQL needs the package asyncpg: pip install "postillon[postgresql]"'
        raise StoreError(hint) from error
    return await open_postgres(folder, config, owner=owner, log=log, clock=clock, fresh_ok=fresh_ok)
