"""Forgetting what has had its time: the store's own part. Nouns bring their own operations."""

from __future__ import annotations

from postillon.store.operation import Steps, Store, Tx, WriteOperation

AT_ONCE = 500  # rows of one operation


async def drain(store: Store, operation: WriteOperation[int]) -> int:
    """Run a bounded operation until it returns 0; returns the sum. Other writes go on in between."""
    total = 0
    while n := await store.write(operation):
        total += n
    return total


def expired_uploads(tx: Tx) -> Steps[int]:
    """Remove some uploads that nobody used in time. Their octets become garbage of their packs."""
    rows = yield (
        "DELETE FROM upload WHERE (account, upload) IN (SELECT account, upload FROM upload"
        " WHERE expires_at <= ? LIMIT ?) RETURNING upload",
        (tx.now, AT_ONCE),
    )
    return len(rows)


async def expire(store: Store) -> int:
    """All that the store forgets by itself; returns the number of rows. To be called every hour."""
    return await drain(store, expired_uploads)
