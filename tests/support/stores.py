"""The store a test runs on: SQLite, or a database of its own on a real PostgreSQL.

Tests that should hold for both take the fixture `database` of their folder's conftest; the support
modules open stores with `open_test_store`, which follows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from postillon.store.choice import open_any
from postillon.store.config import StoreConfig
from support.postgres import Cluster, NoPostgres, cluster

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

KINDS = ("sqlite", "postgresql")

_url: ContextVar[str] = ContextVar("url", default="")


# Much quicker than a new database for each test. Whoever is still connected is sent away.
_EMPTY = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
DO $$ DECLARE name text; BEGIN
    FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public'
        AND tablename NOT LIKE 'migration%'
    LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
END $$
"""


@cache
def _database(server: Cluster) -> str:
    """The database that the tests of this process share, one after the other."""
    return server.create()


@contextmanager
def using(kind: str) -> Iterator[None]:
    """Tests inside run on this kind of database; skips where there is no PostgreSQL."""
    if kind == "sqlite":
        yield
        return
    server = cluster()
    if isinstance(server, NoPostgres):
        pytest.skip(str(server))
    name = _database(server)
    token = _url.set(server.url(name))
    try:
        yield
    finally:
        _url.reset(token)
        server.execute(_EMPTY, name)


@contextmanager
def fresh_database() -> Iterator[None]:
    """Inside `using`: a database without any tables, where the test runs on PostgreSQL."""
    server = cluster()
    if not _url.get() or isinstance(server, NoPostgres):
        yield
        return
    name = server.create()
    token = _url.set(server.url(name))
    try:
        yield
    finally:
        _url.reset(token)
        server.drop(name)


def config_of_test(config: StoreConfig | None = None) -> StoreConfig:
    """The configuration with the database that the test runs on."""
    return replace(config or StoreConfig(), database=_url.get())


async def open_test_store(folder: Path, config: StoreConfig | None = None, **more: Any) -> AnyStore:
    return await open_any(folder, config_of_test(config), **more)
