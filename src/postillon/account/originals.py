"""Emails by their ids, wherever they lie: their octets and their structure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from postillon.account import grants
from postillon.account.errors import MailboxNotFound
from postillon.account.ids import AccountId, EmailId
from postillon.mail.part import Part, unpack
from postillon.store.operation import BlobRef, Row, Steps, Store


class Original(msgspec.Struct, frozen=True):
    """What a client sees of the octets are the prefix and then the blob's."""

    email: EmailId
    prefix: bytes
    ref: BlobRef
    structure: bytes  # packed; offsets are in the blob
    digest: bytes  # SHA-256 of the blob

    @property
    def size(self) -> int:
        return len(self.prefix) + self.ref.length

    @property
    def root(self) -> Part:
        return unpack(self.structure)


class Originals:
    """Of one account; actor: who reads there, None for the owner."""

    def __init__(self, store: Store, account: AccountId, actor: int | None) -> None:
        self._store = store
        self._account = account
        self._actor = None if actor == account else actor

    async def find(self, email: int) -> Original | None:
        """None also for what the actor may not read."""
        return await self._store.query(self._find(EmailId(email)))

    async def read(self, original: Original, start: int = 0, stop: int | None = None) -> bytes:
        """Octets of prefix and blob together. Raises BlobLost."""
        stop = original.size if stop is None else min(stop, original.size)
        before = len(original.prefix)
        found = original.prefix[start:stop]
        if stop > before:
            found += await self.blob(original, max(0, start - before), stop - before)
        return found

    async def blob(self, original: Original, start: int, stop: int) -> bytes:
        """Octets of the blob alone, where the offsets of parts are. Raises BlobLost."""
        return await self._store.fetch(original.ref, start, stop)

    async def keywords(self, email: int) -> frozenset[str]:
        """Those that no flag stands for."""
        rows = await self._store.query(_keywords(self._account, email))
        return frozenset(word for (words,) in rows for word in (words or "").split(" ") if word)

    def _find(self, email: EmailId) -> Steps[Original | None]:
        if self._actor is not None:
            try:
                yield from grants.require_email(self._account, email, self._actor)
            except MailboxNotFound:
                return None
        rows = yield (
            "SELECT email, prefix, pack, start, length, structure, digest FROM email"
            " WHERE account = ? AND email = ?",
            (self._account, email),
        )
        return _original(rows[0]) if rows else None


def _keywords(account: AccountId, email: int) -> Steps[Sequence[Row]]:
    return (
        yield (
            "SELECT keywords FROM placement WHERE account = ? AND email = ?",
            (account, email),
        )
    )


def _original(row: Row) -> Original:
    email, prefix, pack, start, length, structure, digest = row
    return Original(EmailId(email), prefix, BlobRef(pack, start, length), structure, digest)
