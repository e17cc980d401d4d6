"""Whether this server has text indexes, and where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from postillon.log import Log
from postillon.server.config import Configuration
from postillon.store.operation import Store
from postillon.store.sqlite import SqliteStore
from postillon.store.textindexes import TextIndexes

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore


def text_indexes(store: AnyStore | Store, config: Configuration, log: Log) -> TextIndexes | None:
    """None: searches read the messages, as they do on PostgreSQL, whose servers share no files."""
    if isinstance(store, SqliteStore) and config.search.index:
        return TextIndexes(config.server.data, log)
    return None
