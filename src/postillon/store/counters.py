"""Ids that belong to no account: packs, principals, domains."""

from __future__ import annotations

from postillon.store.operation import Steps


def next_id(name: str) -> Steps[int]:
    """The next id of its kind, from 1; never given twice. To be used inside a write."""
    [(value,)] = yield (
        "INSERT INTO counter (name, value) VALUES (?, 1)"
        " ON CONFLICT (name) DO UPDATE SET value = counter.value + 1 RETURNING value",
        (name,),
    )
    assert isinstance(value, int)
    return value
