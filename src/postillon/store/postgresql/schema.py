"""The schema on PostgreSQL: the same numbered files as for SQLite, then those of PostgreSQL alone.

One process migrates while the others wait. As with SQLite, a migration is one transaction together
with the row that records it.
"""

from __future__ import annotations

import asyncpg

from postillon.clock import Clock
from postillon.store.migrate import LEDGER, SCHEMA, pending, shipped
from postillon.store.operation import StoreError
from postillon.store.postgresql.connection import Connection
from postillon.store.postgresql.dialect import translated_schema

# Advisory locks of the database: (class, number). The class is "PSTL" in ASCII.
LOCK_CLASS = 0x5053544C
OWNER_CLASS = LOCK_CLASS + 1  # its numbers are hashes of owners
MIGRATION_LOCK, COMMIT_LOCK, LEADER_LOCK = 1, 2, 3
PATIENCE_S = 3600.0  # for a migration of large tables
# The package of the files, and the table that records them.
SERIES = ((SCHEMA, "migration"), (f"{SCHEMA}.postgresql", "migration_postgresql"))


async def migrate(connection: Connection, clock: Clock, *, fresh_ok: bool) -> list[str]:
    """Bring the schema up to date; returns the names of what was applied.

    fresh_ok: whether an empty database may be made a store. Raises StoreError, or SchemaError if the
    database was made by a newer version or an applied migration has changed.
    """
    done: list[str] = []
    await connection.execute(
        f"SELECT pg_advisory_lock({LOCK_CLASS}, {MIGRATION_LOCK})", timeout=PATIENCE_S
    )
    try:
        if not fresh_ok and await connection.fetchval("SELECT to_regclass('migration')") is None:
            raise StoreError("there is no store in this database yet")
        for package, ledger in SERIES:
            done += await _migrate(connection, clock, package, ledger)
    finally:
        if not connection.is_closed():
            await connection.execute(f"SELECT pg_advisory_unlock({LOCK_CLASS}, {MIGRATION_LOCK})")
    return done


async def _migrate(connection: Connection, clock: Clock, package: str, ledger: str) -> list[str]:
    if await connection.fetchval("SELECT to_regclass($1)", ledger) is None:
        await connection.execute(
            translated_schema(LEDGER).replace("NOT EXISTS migration", f"NOT EXISTS {ledger}")
        )
    rows = await connection.fetch(f"SELECT number, hash FROM {ledger}")  # noqa: S608 - constants
    done = []
    for migration in pending(shipped(package), dict(map(tuple, rows))):
        try:
            async with connection.transaction():
                await connection.execute(translated_schema(migration.sql), timeout=PATIENCE_S)
                await connection.execute(
                    f"INSERT INTO {ledger} (number, name, hash, applied_at)"  # noqa: S608
                    " VALUES ($1, $2, $3, $4)",
                    migration.number, migration.name, migration.hash, clock(),
                )  # fmt: skip
        except asyncpg.PostgresError as error:
            raise StoreError(f"{migration.name}: {error}") from error
        done.append(migration.name)
    return done
