"""Making room: live records move out of packs that are mostly dead, then the pack goes.

States of a pack, and what a crash between them leaves:

    open      appended to by its owner, or left by a dead one; checked when a process starts
    sealed    complete. Records are copied by one commit, and rows move to the copies by a second one,
              once the octets are durable: recovery drops rows without sound octets, because none
              was ever acknowledged, and these have been. A crash in between leaves copies that no
              row names, and some rows here, some there
    retired   no row names it. Kept for `grace`, for readers and a running backup that hold an old
              row; if a row names it again meanwhile, it is sealed again and copied anew
    (no row)  the file is unlinked once the removal of the row is durable; a crash in between leaves
              a file that no row names, which `sweep` removes
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from postillon.store.opening import backup_lock_of
from postillon.store.operation import BlobRef, NewBlob, Steps, Tx
from postillon.store.pack import (
    BLOB_TABLES,
    FILE_HEADER,
    OPEN,
    RECORD,
    RETIRED,
    SEALED,
    pack_number,
    pack_path,
    read_record,
)
from postillon.store.slots import idle
from postillon.store.sqlite import SqliteStore

MOVED_AT_ONCE = 500  # records in one transaction
COPIED_AT_ONCE = 8 << 20  # octets in one transaction
LOOKED_AT = 20  # packs measured in one call
ABANDONED_MS = 3_600_000  # an open pack whose owner has been gone so long is sealed

_NAMED = " UNION ".join(
    f"SELECT start, length FROM {table} WHERE pack = ?"  # noqa: S608 - constants
    for table in BLOB_TABLES
)
_BY_ACCOUNT = (
    "SELECT start, length, min(account) AS first FROM ("
    "SELECT start, length, account FROM email WHERE pack = ?"
    " UNION ALL SELECT start, length, account FROM upload WHERE pack = ?"
    " UNION ALL SELECT start, length, 0 FROM queue_message WHERE pack = ?"
    ") AS named GROUP BY start, length ORDER BY first, start"
)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What became of one pack: records and octets moved, octets it had."""

    pack: int
    moved: int
    octets: int
    size: int


class Compactor:
    """Looks at sealed packs in turn; one pack is copied in a call."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._last = 0  # the pack looked at last
        self._unsound: set[int] = set()  # packs with records that cannot be read: left for an admin

    async def compact_once(self) -> Compaction | None:
        """Copy the next pack whose dead part is large enough, if there is one among the next few."""
        store = self._store
        for pack, size in store.read(_sealed_after(self._last)):
            self._last = pack
            live = await store.read_apart(_live_octets(pack))
            dead = size - FILE_HEADER.size - live
            if pack in self._unsound or dead * 100 < store.config.garbage * size:
                continue
            return await self._move(pack, size)
        if not store.read(_sealed_after(self._last)):
            self._last = 0  # around again
        return None

    async def _move(self, pack: int, size: int) -> Compaction:
        store = self._store
        places = await store.read_apart(_places(pack))
        moved = octets = done = 0
        while done < len(places):
            chunk, blobs = await store.apart(self._load, pack, places[done:])
            done += len(chunk)
            if blobs is None:
                self._unsound.add(pack)
                return Compaction(pack, moved, octets, size)
            copies = await store.write(_copies(len(blobs)), *blobs)
            await store.write(_switch(pack, chunk, copies))
            moved += len(chunk)
            octets += sum(length for _, length in chunk)
        if await store.write(_retire(pack)):
            store.log.info("pack compacted", pack=pack, records=moved, octets=octets, size=size)
        return Compaction(pack, moved, octets, size)

    def _load(
        self, pack: int, places: list[tuple[int, int]]
    ) -> tuple[list[tuple[int, int]], list[NewBlob] | None]:
        """The next records, read and checked; None if one of them is not sound."""
        chunk: list[tuple[int, int]] = []
        blobs: list[NewBlob] = []
        octets = 0
        fd = os.open(pack_path(self._store.folder / "packs", pack), os.O_RDONLY | os.O_CLOEXEC)
        try:
            for start, length in places[:MOVED_AT_ONCE]:
                record = read_record(fd, start, length)
                if record is None or len(record.content) != length:
                    self._store.log.error("record unsound", pack=pack, offset=start)
                    return chunk, None
                chunk.append((start, length))
                blobs.append(NewBlob(record.content, record.envelope))
                octets += length
                if octets >= COPIED_AT_ONCE:
                    break
        finally:
            os.close(fd)
        return chunk, blobs


def _sealed_after(pack: int) -> Steps[list[tuple[int, int]]]:
    rows = yield (
        "SELECT pack, size FROM pack WHERE state = ? AND pack > ? ORDER BY pack LIMIT ?",
        (SEALED, pack, LOOKED_AT),
    )
    return [(row[0], row[1]) for row in rows]


def _live_octets(pack: int) -> Steps[int]:
    """Envelopes are not counted: they are a few octets beside the payload."""
    rows = yield (
        f"SELECT coalesce(sum(length), 0), count(*) FROM ({_NAMED}) AS named",  # noqa: S608
        (pack,) * len(BLOB_TABLES),
    )
    return int(rows[0][0]) + int(rows[0][1]) * RECORD.size


def _places(pack: int) -> Steps[list[tuple[int, int]]]:
    """Live records, those of one account together."""
    rows = yield (_BY_ACCOUNT, (pack, pack, pack))
    return [(row[0], row[1]) for row in rows]


def _copies(count: int) -> Any:  # a WriteOperation
    """Only to be told where the blobs lie; they are durable then, and nothing names them."""

    def operation(tx: Tx) -> Steps[list[BlobRef]]:
        yield from ()
        return [tx.blob(index) for index in range(count)]

    return operation


def _switch(pack: int, chunk: list[tuple[int, int]], copies: list[BlobRef]) -> Any:
    """A WriteOperation: let rows name the copies."""

    def operation(tx: Tx) -> Steps[None]:
        for (start, _), ref in zip(chunk, copies, strict=True):
            for table in BLOB_TABLES:  # a row removed meanwhile is simply not there
                yield (
                    f"UPDATE {table} SET pack = ?, start = ? WHERE pack = ? AND start = ?",  # noqa: S608
                    (ref.pack, ref.offset, pack, start),
                )

    return operation


def _named(pack: int) -> Steps[bool]:
    for table in BLOB_TABLES:
        rows = yield (f"SELECT 1 FROM {table} WHERE pack = ? LIMIT 1", (pack,))  # noqa: S608
        if rows:
            return True
    return False


def _retire(pack: int) -> Any:  # a WriteOperation
    def operation(tx: Tx) -> Steps[bool]:
        if (yield from _named(pack)):
            return False  # somebody placed an old reference again: next time
        yield (
            "UPDATE pack SET state = ?, changed_at = ? WHERE pack = ? AND state = ?",
            (RETIRED, tx.now, pack, SEALED),
        )
        return True

    return operation


async def remove_retired(store: SqliteStore) -> list[int]:
    """Remove packs whose grace has ended; returns their numbers. While a backup runs, all stay."""
    backups = backup_lock_of(store.folder)
    try:
        return await _remove_retired(store) if backups.try_acquire() else []
    finally:
        backups.close()


async def _remove_retired(store: SqliteStore) -> list[int]:
    grace = int(store.config.grace.total_seconds() * 1000)

    def operation(tx: Tx) -> Steps[list[int]]:
        rows = yield (
            "SELECT pack FROM pack WHERE state = ? AND changed_at <= ?",
            (RETIRED, tx.now - grace),
        )
        doomed = []
        for (pack,) in rows:
            if (yield from _named(pack)):
                yield ("UPDATE pack SET state = ? WHERE pack = ?", (SEALED, pack))
            else:
                yield ("DELETE FROM pack WHERE pack = ?", (pack,))
                doomed.append(pack)
        return doomed

    doomed = await store.write(operation)
    if doomed:
        await store.apart(_unlink, store, doomed)
    return doomed


async def sweep(store: SqliteStore) -> list[int]:
    """Remove pack files that neither a row of `pack` nor a message names; returns their numbers."""
    folder = store.folder / "packs"

    def operation(tx: Tx) -> Steps[list[int]]:
        # A new pack gets file and row under the commit lock, which is ours now: none is half made.
        rows = yield ("SELECT pack FROM pack", ())
        known = {row[0] for row in rows}
        found = [pack_number(path) for path in folder.iterdir()]
        # The number can be given again once the file is gone, so it goes while we have the lock.
        orphans = []
        for pack in found:
            if pack is None or pack in known:
                continue
            if (yield from _named(pack)):  # damage: its row was lost, which `verify` mends
                store.log.error("pack without a row", pack=pack)
            else:
                orphans.append(pack)
        _unlink(store, orphans)
        return orphans

    return await store.write(operation)


async def seal_abandoned(store: SqliteStore) -> list[int]:
    """Seal open packs whose owner has long been gone, so that they can be compacted."""
    run = store.folder / "run"

    def operation(tx: Tx) -> Steps[list[int]]:
        rows = yield (
            "SELECT pack, owner FROM pack WHERE state = ? AND changed_at <= ? AND owner <> ?",
            (OPEN, tx.now - ABANDONED_MS, store.owner),
        )
        sealed = []
        for pack, owner in rows:
            if (slot := idle(run, owner)) is None:
                continue
            try:
                # Its end was checked when a process last started; what came after that, a later
                # start would check: only a pack that is durable to its end may be sealed.
                done = yield (
                    "UPDATE pack SET state = ? WHERE pack = ? AND size = synced RETURNING pack",
                    (SEALED, pack),
                )
                sealed += [row[0] for row in done]
            finally:
                slot.close()
        return sealed

    return await store.write(operation)


def _unlink(store: SqliteStore, doomed: list[int]) -> None:
    folder = store.folder / "packs"
    for pack in doomed:
        try:
            store.files.unlink(pack_path(folder, pack))
        except OSError as error:
            store.log.warning("pack not removed", pack=pack, error=str(error))
