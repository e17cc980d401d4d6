"""Making room: objects whose octets are no longer named go, and mostly dead ones are copied first.

Objects are looked at in turn. One that no row names is removed; of one whose dead part has reached
`store.garbage` the live records are written into a new object, and the rows that named them changed,
in one transaction. A reader that holds an old row meets BlobLost, and asks the row again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.store.operation import BlobLost, BlobRef, NewBlob, Steps, Tx, WriteOperation
from postillon.store.pack import BLOB_TABLES, RECORD

if TYPE_CHECKING:
    from postillon.store.postgresql.store import PostgresStore

LOOKED_AT = 500  # objects measured in one call
COPIED_AT_ONCE = 8 << 20  # octets in one transaction

_NAMED = " UNION ".join(
    f"SELECT start, length FROM {table} WHERE pack = o.pack"  # noqa: S608 - constants
    for table in BLOB_TABLES
)
_MEASURED = (
    "SELECT o.pack, o.size, (SELECT COALESCE(SUM(n.length), 0) + COUNT(*) * ? FROM"  # noqa: S608
    f" ({_NAMED}) AS n) AS live FROM object o WHERE o.pack > ? ORDER BY o.pack LIMIT ?"
)
_PLACES = " UNION ".join(
    f"SELECT start, length FROM {table} WHERE pack = ?"  # noqa: S608 - constants
    for table in BLOB_TABLES
)
_UNNAMED = " AND ".join(
    f"NOT EXISTS (SELECT 1 FROM {table} WHERE pack = object.pack)"  # noqa: S608 - constants
    for table in BLOB_TABLES
)


@dataclass(frozen=True, slots=True)
class Collected:
    """What one call has done: objects looked at, removed, copied; octets that became free."""

    looked_at: int = 0
    removed: int = 0
    copied: int = 0
    freed: int = 0


class Collector:
    """Goes through all objects, some in each call."""

    def __init__(self, store: PostgresStore) -> None:
        self._store = store
        self._last = 0  # the object looked at last
        self._unsound: set[int] = set()  # with records that cannot be read: left for an admin

    async def collect_once(self) -> Collected:
        store = self._store
        found = await store.read_apart(_measured(self._last))
        self._last = found[-1][0] if len(found) == LOOKED_AT else 0
        removed = copied = freed = 0
        for pack, size, live in found:
            if not live:
                if await store.write(_remove(pack)):
                    removed, freed = removed + 1, freed + size
            elif (size - live) * 100 >= store.config.garbage * size and await self._copy(pack):
                copied, freed = copied + 1, freed + size - live
        if removed or copied:
            store.log.info("objects collected", removed=removed, copied=copied, octets=freed)
        return Collected(len(found), removed, copied, freed)

    async def _copy(self, pack: int) -> bool:
        """Move what lives elsewhere, then remove the object."""
        if pack in self._unsound:
            return False
        store = self._store
        places = await store.read_apart(_places(pack))
        chunk: list[BlobRef] = []
        octets = 0
        for index, ref in enumerate(places):
            chunk.append(ref)
            octets += ref.length
            if octets < COPIED_AT_ONCE and index + 1 < len(places):
                continue
            try:
                blobs = [NewBlob(await store.fetch(item)) for item in chunk]
            except BlobLost as error:
                store.log.error("object unsound", object=pack, error=str(error))
                self._unsound.add(pack)
                return False
            await store.write(_switch(chunk), *blobs)
            chunk, octets = [], 0
        return await store.write(_remove(pack))


def _measured(after: int) -> Steps[list[tuple[int, int, int]]]:
    """Objects in order: (pack, octets, octets of records that rows name)."""
    rows = yield _MEASURED, (RECORD.size, after, LOOKED_AT)
    return [(pack, size, int(live)) for pack, size, live in rows]


def _places(pack: int) -> Steps[list[BlobRef]]:
    rows = yield f"{_PLACES} ORDER BY start", (pack,) * len(BLOB_TABLES)
    return [BlobRef(pack, start, length) for start, length in rows]


def _switch(chunk: list[BlobRef]) -> WriteOperation[None]:
    def operation(tx: Tx) -> Steps[None]:
        for index, old in enumerate(chunk):
            new = tx.blob(index)
            for table in BLOB_TABLES:  # a row removed meanwhile is simply not there
                yield (
                    f"UPDATE {table} SET pack = ?, start = ? WHERE pack = ? AND start = ?",  # noqa: S608
                    (new.pack, new.offset, old.pack, old.offset),
                )

    return operation


def _remove(pack: int) -> WriteOperation[bool]:
    def operation(tx: Tx) -> Steps[bool]:
        rows = yield (
            f"DELETE FROM object WHERE pack = ? AND {_UNNAMED} RETURNING pack",  # noqa: S608
            (pack,),
        )
        return bool(rows)

    return operation
