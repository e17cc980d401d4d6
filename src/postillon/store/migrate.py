"""The schema as numbered SQL files, each applied once and in order.

A migration is one transaction together with the row that records it, so a crash leaves it either done
or not begun and the next start goes on. A file that was applied must not change afterwards: its hash
is kept and compared.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from urllib.parse import quote

import apsw

from postillon.clock import Clock
from postillon.store.database import Execute
from postillon.store.operation import StoreError

FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql\Z")
SCHEMA = "postillon.store.schema"
LEDGER = (
    "CREATE TABLE IF NOT EXISTS migration (number bigint PRIMARY KEY, name text NOT NULL,"
    " hash text NOT NULL, applied_at bigint NOT NULL)"
)


class SchemaError(StoreError):
    """The database does not fit this version of the program."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int  # from 1, without gaps
    name: str
    sql: str

    @property
    def hash(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def shipped(package: str = SCHEMA) -> list[Migration]:
    """The migrations of this version in a package, in order."""
    found = [
        Migration(int(match[1]), item.name, item.read_text("utf-8"))
        for item in files(package).iterdir()
        if (match := FILE_NAME.match(item.name))
    ]
    found.sort(key=lambda migration: migration.number)
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise SchemaError("the numbers of the migrations have a gap")
    return found


def pending(known: list[Migration], applied: Mapping[int, str]) -> list[Migration]:
    """What is to be applied yet. applied: hashes by number.

    Raises SchemaError if a newer version made the database, or an applied migration has changed.
    """
    if applied and max(applied) > len(known):
        raise SchemaError(
            "the database was changed by a newer version of Postillon; install that one again, or"
            " restore the backup that was made before it"
        )
    for migration in known:
        if applied.get(migration.number, migration.hash) != migration.hash:
            raise SchemaError(f"{migration.name} has changed since it was applied")
    return [migration for migration in known if migration.number not in applied]


def unfit(database: Path) -> str:
    """Why this version cannot work with a database, found out without changing or locking anything.

    "" where nothing is wrong, or where only opening it would tell.
    """
    where = f"file:{quote(str(database))}?immutable=1"
    try:
        flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
        connection = apsw.Connection(where, flags=flags)
        try:
            applied = _applied(connection.cursor().execute)
        finally:
            connection.close()
    except apsw.Error:
        return ""
    try:
        pending(shipped(), applied)
    except SchemaError as error:
        return str(error)
    return ""


def migrate(
    connection: apsw.Connection, clock: Clock, migrations: list[Migration] | None = None
) -> list[str]:
    """Bring the schema up to date; returns the names of what was applied.

    Raises SchemaError, with the database untouched, if it was made by a newer version or if an
    applied migration has changed since.
    """
    known = shipped() if migrations is None else migrations
    execute: Execute = connection.cursor().execute
    execute("BEGIN IMMEDIATE")
    try:
        execute(LEDGER)
        execute("COMMIT")
    except apsw.Error:
        _roll_back(connection)
        raise
    done = []
    for migration in pending(known, _applied(execute)):
        execute("BEGIN IMMEDIATE")
        try:
            execute(migration.sql)
            execute(
                "INSERT INTO migration (number, name, hash, applied_at) VALUES (?, ?, ?, ?)",
                (migration.number, migration.name, migration.hash, clock()),
            )
            execute("COMMIT")
        except apsw.Error:
            _roll_back(connection)
            raise
        done.append(migration.name)
    return done


def _applied(execute: Execute) -> dict[int, str]:
    return dict(execute("SELECT number, hash FROM migration").fetchall())


def _roll_back(connection: apsw.Connection) -> None:
    if connection.in_transaction:
        connection.cursor().execute("ROLLBACK")
