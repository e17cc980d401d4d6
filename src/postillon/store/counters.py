"""Ids that belong to no account: packs, principals, domains."""

from __future__ import annotations

from postillon.store.operation import Steps


def next_id(name: str) -> Steps[int]:
    """The next id of its kind, from 1; never given twice. To be used inside a write."""
    return (yield from next_ids(name, 1))


def next_ids(name: str, number: int) -> Steps[int]:
    """As `next_id` for several at once; the last of them."""
    [(value,)] = yield (
        "INSERT INTO counter (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = counter.value + excluded.value RETURNING value",
        (name, number),
    )
    assert isinstance(value, int)
    return value
