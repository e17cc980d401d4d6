"""What the rest of the code says to the store: operations, written once for every database.

An operation is a generator that yields `(sql, arguments)` and is given the rows as a list of tuples;
what it returns is the caller's result. SQL is the common dialect of SQLite and PostgreSQL with `?`
placeholders: integers, text, blobs, ON CONFLICT, RETURNING, CTEs. Helpers compose with `yield from`.
The SQLite driver runs a batch of operations in one transaction, each in a savepoint: an exception
that leaves the generator undoes that operation only and reaches its caller.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
Row = tuple[Any, ...]  # Any: a column is int, str, bytes, float or None, known to the reader of it
Statement = tuple[str, Sequence[Any]]
Steps = Generator[Statement, list[Row], T]


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where octets lie: pack, offset of the record, length of the payload (all octets, from 0)."""

    pack: int
    offset: int
    length: int


class Tx(Protocol):
    """What an operation that writes may use beside its statements."""

    now: int  # milliseconds since 1970 UTC, the same for all operations of a batch

    def blob(self, index: int = 0) -> BlobRef:
        """Where the octets given with this operation have been appended, in the order given."""

    def changed(self, account: int, modseq: int) -> None:
        """Announce the account to all workers once the batch is durable; lost if the op fails."""

    def announce(self, topic: str) -> None:
        """Announce something else than an account ("queue", "directory") once durable."""
