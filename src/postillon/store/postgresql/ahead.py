"""The first octets of blobs that are about to be read, got together: one wait instead of many.

Blobs never change and their places are never given again, so what is kept here cannot become wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from postillon.store.operation import BlobRef
from postillon.store.pack import RECORD, parse
from postillon.store.postgresql.connection import Connection
from postillon.store.postgresql.objects import checked

KEPT = 16 << 20  # octets of all that a process keeps
_FIRST = (
    "SELECT r.n, substring(o.content FROM r.start::int FOR r.size::int)"
    " FROM unnest($1::bigint[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS r (pack, start, size, n)"
    " JOIN object o ON o.pack = r.pack"
)


class Ahead:
    """Records, or the beginnings of them, as they lie in their objects."""

    def __init__(self) -> None:
        self._records: OrderedDict[BlobRef, bytes] = OrderedDict()
        self._octets = 0

    def missing(self, refs: Sequence[BlobRef], octets: int) -> list[BlobRef]:
        """Those of which fewer than so many octets are here."""
        return [ref for ref in refs if len(self._records.get(ref, b"")) < _size(ref, octets)]

    async def load(self, connection: Connection, refs: Sequence[BlobRef], octets: int) -> None:
        """Get the first octets of each. What is not there is left for `fetch` to miss."""
        rows = await connection.fetch(
            _FIRST,
            [ref.pack for ref in refs],
            [ref.offset + 1 for ref in refs],
            [_size(ref, octets) for ref in refs],
        )
        for n, data in rows:
            self._keep(refs[n - 1], data)

    def _keep(self, ref: BlobRef, data: bytes) -> None:
        self._octets += len(data) - len(self._records.pop(ref, b""))
        self._records[ref] = data
        while self._octets > KEPT:
            self._octets -= len(self._records.popitem(last=False)[1])

    def read(self, ref: BlobRef, start: int, stop: int | None) -> bytes | None:
        """The octets, or None if not all of them are here. Raises BlobLost as `objects.read`."""
        data = self._records.get(ref)
        if data is None:
            return None
        first, last = max(start, 0), ref.length if stop is None else min(stop, ref.length)
        if first == 0 and last == ref.length and len(data) == RECORD.size + ref.length:
            return checked(data, ref)
        if RECORD.size + last > len(data) or parse(data) != (0, ref.length, ref.length):
            return None  # the database says what is wrong with it
        return data[RECORD.size + first : RECORD.size + max(last, first)]


def _size(ref: BlobRef, octets: int) -> int:
    return RECORD.size + min(ref.length, octets)
