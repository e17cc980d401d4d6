"""Connections to PostgreSQL, what our sessions ask of it, and how an operation is run on one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from postillon.store.config import StoreConfig
from postillon.store.operation import Row, Statement, Steps, StoreError, StoreFull, T
from postillon.store.postgresql.dialect import translated

STATEMENTS = 1_000  # prepared statements each connection keeps
CONNECT_S = 10.0  # for a connection to be made
ANSWER_S: float | None = 60.0  # for one statement; a scan of a large queue takes seconds
LOCK_MS = 20_000  # how long a commit waits for its turn among all servers
STALLED_MS = 15_000  # after which PostgreSQL ends a commit whose process has stopped half way
MAX_PASSWORD = 4_096  # octets of a password file

# A peer that has vanished is noticed within half a minute, by either side.
_KEEP_ALIVE = {
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "4",
    "tcp_user_timeout": "30000",
}
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
REFUSED = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
NO_ROOM = ("53100", "53200")  # disk_full, out_of_memory
Connection = Any  # asyncpg.Connection: its classes are typed only in part


class Unreachable(StoreError):
    """There is no connection to the database now; trying again later may help."""


async def connect(config: StoreConfig, name: str, **settings: str) -> Connection:
    """Open a connection for one task at a time. name: what `pg_stat_activity` shows.

    Raises Unreachable, with the reason in words that hold no password.
    """
    try:
        connection = await asyncpg.connect(
            config.database,
            password=password_of(config.database_password),
            timeout=CONNECT_S,
            command_timeout=ANSWER_S,
            statement_cache_size=STATEMENTS,
            max_cached_statement_lifetime=0,
            max_cacheable_statement_size=0,
            server_settings={
                "application_name": f"postillon {name}"[:63],
                "jit": "off",  # no statement runs for so long that compiling it pays
                "client_encoding": "UTF8",
                **_KEEP_ALIVE,
                **settings,
            },
        )
    except REFUSED as error:
        raise Unreachable(
            f"PostgreSQL at {place_of(config.database)}: {explained(error)}"
        ) from error
    try:
        await _set_up(connection)
    except BaseException as error:
        connection.terminate()
        if isinstance(error, REFUSED):
            raise translated_error(error) from error
        raise
    return connection


async def _set_up(connection: Connection) -> None:
    # Sums of bigint are numeric; there are no fractions in our tables.
    await connection.set_type_codec(
        "numeric", schema="pg_catalog", encoder=str, decoder=_whole, format="text"
    )
    encoding = connection.get_settings().server_encoding
    if encoding.upper().replace("-", "") != "UTF8":
        raise StoreError(f"the database must be in UTF8, but it is in {encoding}")
    # What was answered must be durable (I1). Stronger settings, for standbys, stay.
    await connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') IN ('off', 'local');"
        # From version 14 on: a session whose process has died ends though it waits for a lock.
        "SELECT set_config(name, '1000', false) FROM pg_settings"
        " WHERE name = 'client_connection_check_interval'"
    )


def _whole(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def password_of(path: Path | None) -> str | None:
    """The first line of the password file. None: the environment or ~/.pgpass may have one.

    Raises StoreError if the file cannot be read.
    """
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            return file.read(MAX_PASSWORD).split(b"\n", 1)[0].rstrip(b"\r").decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise StoreError(f"the database's password file {path}: {reason}") from error


def place_of(url: str) -> str:
    """The URL as it may be shown: without user and query, which could hold secrets."""
    parts = urlsplit(url)
    return urlunsplit(("", parts.netloc.rpartition("@")[2] or "(local)", parts.path, "", ""))[2:]


def explained(error: BaseException) -> str:
    """One line for people."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).partition("\n")[0] or type(error).__name__


async def close(connection: Connection) -> None:
    """Close in good order if that is quickly done."""
    with suppress(Exception):
        await connection.close(timeout=2)
    connection.terminate()


def translated_error(error: BaseException) -> StoreError:
    """Our word for what PostgreSQL or the way to it says."""
    if isinstance(error, StoreError):
        return error
    if getattr(error, "sqlstate", None) in NO_ROOM:
        return StoreFull("no room for the database")
    if isinstance(error, _LOST):
        return Unreachable(f"the connection to PostgreSQL is lost: {explained(error)}")
    return StoreError(f"{type(error).__name__}: {explained(error)}")


async def run(connection: Connection, steps: Steps[T]) -> T:
    """Run an operation to its end. What PostgreSQL refuses is raised inside it, where it yielded.

    It cannot go on from there, as PostgreSQL does not: whatever it does then, the refusal stays.
    """
    send: Callable[[Any], Statement] = steps.send
    fetch = connection.fetch
    try:
        sql, arguments = send(None)
        while True:
            try:
                rows: list[Row] = list(map(tuple, await fetch(translated(sql), *arguments)))
            except REFUSED as error:
                failure = translated_error(error)
                with suppress(StopIteration):
                    steps.throw(failure)
                steps.close()
                raise failure from error
            sql, arguments = send(rows)
    except StopIteration as stop:
        result: T = stop.value
        return result
