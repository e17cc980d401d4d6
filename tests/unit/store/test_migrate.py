"""Migrations: each once, in order, all of it or nothing."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from postillon.store.migrate import Migration, SchemaError, migrate, shipped
from postillon.store.sqlite import open_store

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (x bigint); INSERT INTO one VALUES (1);")
TWO = Migration(2, "0002_two.sql", "CREATE TABLE two (x bigint);")
BROKEN = Migration(2, "0002_two.sql", "CREATE TABLE two (x bigint); CREATE TABLE one (x bigint);")


def tables(connection: apsw.Connection) -> list[str]:
    rows = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")
    return [row[0] for row in rows]  # type: ignore[misc]


def test_each_is_applied_once() -> None:
    connection = apsw.Connection(":memory:")
    assert migrate(connection, lambda: 5, [ONE]) == ["0001_one.sql"]
    assert migrate(connection, lambda: 6, [ONE, TWO]) == ["0002_two.sql"]
    assert migrate(connection, lambda: 7, [ONE, TWO]) == []
    assert connection.execute("SELECT count(*) FROM one").get == 1
    rows = connection.execute("SELECT number, name, applied_at FROM migration").fetchall()
    assert rows == [(1, "0001_one.sql", 5), (2, "0002_two.sql", 6)]


def test_one_that_breaks_leaves_nothing_and_can_be_tried_again() -> None:
    connection = apsw.Connection(":memory:")
    with pytest.raises(apsw.SQLError):
        migrate(connection, lambda: 5, [ONE, BROKEN])
    assert tables(connection) == ["migration", "one"]
    assert migrate(connection, lambda: 5, [ONE, TWO]) == ["0002_two.sql"]


def test_a_changed_or_newer_schema_is_refused() -> None:
    connection = apsw.Connection(":memory:")
    migrate(connection, lambda: 5, [ONE, TWO])
    with pytest.raises(SchemaError, match="newer"):
        migrate(connection, lambda: 5, [ONE])
    with pytest.raises(SchemaError, match="has changed"):
        migrate(connection, lambda: 5, [ONE, BROKEN])


async def test_the_shipped_schema_is_in_a_new_store(tmp_path: Path) -> None:
    assert [migration.number for migration in shipped()][:1] == [1]
    store = await open_store(tmp_path, owner="w0")
    found = tables(store.opened.writer)
    assert {"account", "email", "placement", "change", "queue_message", "pack"} <= set(found)
    await store.close()


def test_emails_keep_every_column_when_their_table_is_made_anew() -> None:
    connection = apsw.Connection(":memory:")
    steps = shipped()
    migrate(connection, lambda: 5, steps[:1])
    marks = ",".join("?" * 18)
    emails = [
        (account, email, 7, 1, 9_000 - 10 * email, 10, 12, b"d" * 32, b"P: x\r\n", 1, None, b"h", b"s",
         "text", email, 3, 4, 5)
        for account in (2, 1) for email in (5, 9, 6)
    ]  # fmt: skip
    connection.executemany(f"INSERT INTO email VALUES ({marks})", emails)
    migrate(connection, lambda: 6, steps)
    found = connection.execute("SELECT * FROM email ORDER BY account, email").fetchall()
    assert [row[:18] for row in found] == sorted(emails)
    with pytest.raises(apsw.ConstraintError):
        connection.execute(f"INSERT INTO email VALUES ({marks},NULL,NULL)", emails[0])
    plan = "EXPLAIN QUERY PLAN SELECT start, length FROM email WHERE pack = 1"
    assert "email_blob" in str(connection.execute(plan).fetchall())
