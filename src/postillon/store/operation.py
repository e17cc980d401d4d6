"""What the rest of the code says to the store: operations, written once for every database.

An operation is a generator that yields `(sql, arguments)` and is given the rows as a list of tuples;
what it returns is the caller's result. SQL is the common dialect of SQLite and PostgreSQL with `?`
placeholders: integers, text, blobs, ON CONFLICT, RETURNING, CTEs. Helpers compose with `yield from`.
A driver runs a batch of operations in one transaction, each in a savepoint: an exception that leaves
the generator undoes that operation only and reaches its caller. SQLite's runs the whole batch in its
thread, PostgreSQL's awaits each answer. Either has one writer at a time, over all processes and
servers, so an operation may read and then write without looking for others.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from postillon.mail.octets import Octets

T = TypeVar("T")
Row = tuple[Any, ...]  # Any: a column is int, str, bytes, float or None, known to the reader of it
Statement = tuple[str, Sequence[Any]]
Steps = Generator[Statement, list[Row], T]


class BlobRef(msgspec.Struct, frozen=True, gc=False):
    """Where octets lie: pack, offset of the record, length of the payload (all octets, from 0)."""

    pack: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class NewBlob:
    """Octets to append with an operation. `envelope`: packed facts that let a scan rebuild the row."""

    content: Octets
    envelope: bytes = b""


class StoreError(Exception):
    """Something the store could not do. Nothing of the operation remains."""


class StoreFull(StoreError):
    """No room on the disk. Try again later; reading goes on."""


class StoreStopped(StoreError):
    """The store takes no more writes: it is closing, or a sync failed (FAULTS 48)."""


class BlobLost(StoreError):
    """A row names octets that are not there or whose checksum fails."""


class Tx(Protocol):
    """What an operation that writes may use beside its statements."""

    now: int  # milliseconds since 1970 UTC, the same for all operations of a batch
    # Whether one statement may change several tables (WITH ... UPDATE ... RETURNING): PostgreSQL's
    # can, and where each answer is waited for, the hottest operations are better one statement.
    chains: bool

    def blob(self, index: int = 0) -> BlobRef:
        """Where the octets given with this operation have been appended, in the order given."""

    def changed(self, account: int, modseq: int) -> None:
        """Announce the account to all workers once the batch is durable; lost if the op fails."""

    def announce(self, topic: str) -> None:
        """Announce something else than an account ("queue", "directory") once durable."""


WriteOperation = Callable[[Tx], Steps[T]]  # may be run again from the beginning, with another Tx


class Brief(Generic[T]):
    """A write operation of few statements on few rows, all found by index: tens of microseconds.

    A store may then run it in the loop's thread, where it costs least, instead of in another one. With
    blobs it is new mail and nothing else: a power cut may leave its rows without the octets, and takes
    both, so nothing that somebody was told of may go with it.
    """

    __slots__ = ("_operation",)

    def __init__(self, operation: WriteOperation[T]) -> None:
        self._operation = operation

    def __call__(self, tx: Tx) -> Steps[T]:
        return self._operation(tx)


EVERYTHING = "*"  # the topic of hints that were lost: look at all that one waits for
# Called in the loop's thread once a batch is durable: (account, modseq) pairs and topics.
CommitListener = Callable[[Sequence[tuple[int, int]], Sequence[str]], None]


class Store(Protocol):
    """What the stations see of the store, whatever database is behind it."""

    async def query(self, steps: Steps[T]) -> T:
        """Run a bounded, index-backed read in one read transaction, whatever the database.

        SQLite does it at once, without letting another task run; PostgreSQL awaits its answers.
        Raises StoreError while the database cannot be reached.
        """

    async def read_apart(self, steps: Steps[T]) -> T:
        """Run a read that may take long (a search, a large scan) in another thread."""

    async def write(self, operation: WriteOperation[T], *blobs: NewBlob) -> T:
        """Run an operation in the next batch; returns once rows and blobs are durable (I1).

        Raises what the operation raised, StoreFull, or StoreStopped; then nothing of it remains.
        Cancelling the caller does not undo an operation that has joined a batch.
        """

    async def fetch(self, ref: BlobRef, start: int = 0, stop: int | None = None) -> bytes:
        """The octets of a blob, or a slice of them. A whole read verifies the checksum.

        Raises BlobLost. Large reads do not hold up the loop.
        """

    async def fetch_together(self, wanted: Sequence[tuple[BlobRef, int]]) -> Sequence[bytes | None]:
        """The first so many octets of each blob, in few reads where they lie close to each other.

        A whole blob is verified as by `fetch`. None: ask `fetch`, which says what is wrong.
        """

    async def ahead(self, refs: Sequence[BlobRef], octets: int) -> None:
        """Say that these blobs are about to be fetched, the first so many octets of each.

        Where every fetch is a wait, they are got together now; elsewhere nothing happens.
        """
