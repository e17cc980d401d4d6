"""What clients have uploaded and not used yet (RFC 8620 section 6.1). It goes by itself after a while.

Whoever knows the number of an upload may use it in its account: numbers are drawn, not counted.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec

from postillon.account import grants
from postillon.account.errors import AccountNotFound, TooManyUploads
from postillon.account.ids import AccountId
from postillon.account.rights import Right
from postillon.mail.octets import PIECE, Octets
from postillon.store.operation import BlobRef, NewBlob, Row, Steps, Store, Tx

KEPT_MS = 24 * 3_600_000  # an upload that nobody used
MAX_UPLOADS = 1_000  # of one account at a time
MAX_MEDIA_TYPE = 200  # characters


class Upload(msgspec.Struct, frozen=True):
    """id: in its account. Octets as they came."""

    id: int
    ref: BlobRef
    media_type: str

    @property
    def size(self) -> int:
        return self.ref.length


class Uploads:
    """Of one account; actor: who acts there, None for the owner. Raises NotAllowed for strangers."""

    def __init__(self, store: Store, account: AccountId, actor: int | None, most: int) -> None:
        """most: octets of all uploads that are kept at a time."""
        self._store = store
        self._account = account
        self._actor = None if actor == account else actor
        self._most = most

    async def add(self, content: Octets, media_type: str) -> Upload:
        """Durable when this returns. Raises TooManyUploads, StoreFull or StoreStopped."""
        number = secrets.randbits(62)
        digest = _digest(content)
        account, kind = self._account, media_type[:MAX_MEDIA_TYPE]

        def operation(tx: Tx) -> Steps[Upload]:
            yield from self._require()
            yield from self._check_room(tx, len(content))
            ref = tx.blob()
            yield (
                "INSERT INTO upload (account, upload, pack, start, length, digest, media_type,"
                " expires_at) VALUES (?,?,?,?,?,?,?,?)",
                (
                    account, number, ref.pack, ref.offset, ref.length, digest, kind,
                    tx.now + KEPT_MS,
                ),
            )  # fmt: skip
            return Upload(number, ref, kind)

        return await self._store.write(operation, NewBlob(content))

    async def find(self, number: int) -> Upload | None:
        """None also once its time is over."""
        return await self._store.query(self._find(number))

    async def read(self, upload: Upload, start: int = 0, stop: int | None = None) -> bytes:
        """Raises BlobLost."""
        return await self._store.fetch(upload.ref, start, stop)

    def _find(self, number: int) -> Steps[Upload | None]:
        yield from self._require()
        rows = yield (
            "SELECT upload, pack, start, length, media_type FROM upload"
            " WHERE account = ? AND upload = ?",
            (self._account, number),
        )
        return _upload(rows[0]) if rows else None

    def _require(self) -> Steps[None]:
        """Raises AccountNotFound, for others than the owner unless something is shared with them."""
        if self._actor is None:
            return
        if not (yield from grants.anywhere(self._account, self._actor, Right.LOOKUP)):
            raise AccountNotFound(self._account)

    def _check_room(self, tx: Tx, size: int) -> Steps[None]:
        rows = yield (
            "SELECT COUNT(*), COALESCE(SUM(length), 0) FROM upload WHERE account = ?"
            " AND expires_at > ?",
            (self._account, tx.now),
        )
        number, octets = rows[0]
        if number >= MAX_UPLOADS or octets + size > self._most:
            raise TooManyUploads(number, octets)


def _digest(content: Octets) -> bytes:
    found = hashlib.sha256()
    for start in range(0, len(content), PIECE):
        found.update(content[start : start + PIECE])
    return found.digest()


def _upload(row: Row) -> Upload:
    number, pack, start, length, media_type = row
    return Upload(number, BlobRef(pack, start, length), media_type)
