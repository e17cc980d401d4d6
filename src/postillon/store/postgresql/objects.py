"""Message octets in PostgreSQL: micro-packs, one row of `object` for each commit that brought some.

A row holds records as a pack file does (`store.pack`), without envelopes, so a record's payload
begins at a known place and a part of it is read alone. All records of a row are written at once and
never change.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

from postillon.store.operation import BlobLost, BlobRef, NewBlob
from postillon.store.pack import RECORD, SUMMED, encode, parse
from postillon.store.postgresql.connection import Connection

_WHOLE = "SELECT substring(content FROM $2 FOR $3) FROM object WHERE pack = $1"
_PART = (
    "SELECT substring(content FROM $2 FOR $3), substring(content FROM $4 FOR $5)"
    " FROM object WHERE pack = $1"
)
_INSERT = "INSERT INTO object (size, created_at, content) VALUES ($1, $2, $3) RETURNING pack"


async def insert(connection: Connection, blobs: Sequence[NewBlob], now: int) -> list[BlobRef]:
    """Write the octets inside the current transaction; returns where each lies."""
    buffers = []
    places: list[tuple[int, int]] = []
    offset = 0
    for blob in blobs:
        head, content = encode(NewBlob(blob.content))
        buffers += [head, content]
        places.append((offset, len(content)))
        offset += len(head) + len(content)
    pack = await connection.fetchval(_INSERT, offset, now, b"".join(buffers))
    return [BlobRef(pack, start, length) for start, length in places]


async def read(
    connection: Connection, ref: BlobRef, start: int = 0, stop: int | None = None
) -> bytes:
    """The octets from `start` to before `stop`; a whole read checks the CRC. Raises BlobLost."""
    length = ref.length
    if stop is None or stop > length:
        stop = length
    if start <= 0 and stop == length:
        data = await connection.fetchval(_WHOLE, ref.pack, ref.offset + 1, RECORD.size + length)
        return checked(data, ref)
    if start >= stop:
        return b""
    start = max(start, 0)
    # SQL counts from 1.
    row = await connection.fetchrow(
        _PART, ref.pack, ref.offset + 1, RECORD.size,
        ref.offset + RECORD.size + start + 1, stop - start,
    )  # fmt: skip
    if row is None:
        raise BlobLost(f"object {ref.pack} is not there")
    lengths = parse(row[0])
    if lengths is None or lengths[2] != length or len(row[1]) != stop - start:
        raise BlobLost(f"no record at {ref.pack}:{ref.offset}")
    octets: bytes = row[1]
    return octets


def checked(data: bytes | None, ref: BlobRef) -> bytes:
    """The payload of a record that was read whole. Raises BlobLost."""
    if data is None:
        raise BlobLost(f"object {ref.pack} is not there")
    lengths = parse(data)
    if lengths is not None and lengths == (0, ref.length, ref.length):
        view = memoryview(data)
        crc = zlib.crc32(view[RECORD.size :], zlib.crc32(view[:SUMMED]))
        if (
            len(data) == RECORD.size + ref.length
            and crc.to_bytes(4, "big") == data[SUMMED : RECORD.size]
        ):
            return data[RECORD.size :]
    raise BlobLost(f"no sound record at {ref.pack}:{ref.offset}")
