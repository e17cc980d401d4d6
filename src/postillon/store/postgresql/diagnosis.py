"""What stands between a configuration and its database, in words, for `postillon check`."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from postillon.store.config import StoreConfig
from postillon.store.operation import StoreError
from postillon.store.postgresql.connection import Connection, close, connect, password_of, place_of

LEAST_VERSION = 13

_HINTS: tuple[tuple[type[BaseException], str], ...] = (
    (
        asyncpg.InvalidCatalogNameError,
        "make it: createdb --owner USER --encoding UTF8 --template template0 NAME",
    ),
    (
        asyncpg.InvalidAuthorizationSpecificationError,
        "is the user right, the password file, and PostgreSQL's pg_hba.conf?",
    ),
    (asyncpg.TooManyConnectionsError, "raise max_connections, or lower store.connections"),
    (asyncpg.CannotConnectNowError, "PostgreSQL is starting or stopping: wait a moment"),
    (TimeoutError, "does a firewall swallow the connection?"),
    (ConnectionRefusedError, "does PostgreSQL run there, and does it listen on this address?"),
    (OSError, "is the host right, and does PostgreSQL run there?"),
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """Something to change. serious: the server will not start with it."""

    serious: bool
    what: str
    hint: str


async def diagnose(config: StoreConfig, processes: int) -> list[Diagnosis]:
    """Connect and look; nothing is changed. processes: of this server. Empty: all is well."""
    try:
        password_of(config.database_password)
    except StoreError as error:
        return [Diagnosis(True, str(error), "make it readable for the server's account")]
    try:
        connection = await connect(config, "check")
    except StoreError as error:
        return [Diagnosis(True, str(error), _hint(error.__cause__ or error))]
    try:
        return await _look(connection, config, processes)
    finally:
        await close(connection)


def _hint(error: BaseException) -> str:
    for kind, hint in _HINTS:
        if isinstance(error, kind):
            return hint
    return "see docs/store.md"


async def _look(connection: Connection, config: StoreConfig, processes: int) -> list[Diagnosis]:
    found = []
    version = connection.get_server_version().major
    if version < LEAST_VERSION:
        what = f"PostgreSQL {version} at {place_of(config.database)} is too old"
        found.append(Diagnosis(True, what, f"version {LEAST_VERSION} or newer is needed"))
    row = await connection.fetchrow(
        "SELECT has_schema_privilege(current_schema(), 'CREATE') AS may_create,"
        " to_regclass('migration') IS NOT NULL AS made, current_setting('fsync') AS fsync,"
        " current_setting('full_page_writes') AS full_pages, pg_is_in_recovery() AS standby,"
        " current_setting('max_connections')::int AS connections"
    )
    if row["standby"]:
        hint = "name the primary, or all hosts and target_session_attrs=primary"
        found.append(Diagnosis(True, "this PostgreSQL is a standby: it takes no writes", hint))
    elif not row["made"] and not row["may_create"]:
        hint = "let the user own the database: ALTER DATABASE NAME OWNER TO USER"
        found.append(Diagnosis(True, "the user may not make tables in this database", hint))
    for name, value in (("fsync", row["fsync"]), ("full_page_writes", row["full_pages"])):
        if value == "off":
            hint = f"set {name} = on in postgresql.conf"
            found.append(Diagnosis(False, f"{name} is off: a power cut can lose mail", hint))
    wanted = processes * (config.connections + 2)
    if wanted > row["connections"]:
        what = f"this server may use {wanted} connections of {row['connections']}"
        hint = "raise max_connections in postgresql.conf, or lower store.connections"
        found.append(Diagnosis(False, what, hint))
    return found
