"""Which emails belong to one exchange.

Two emails share a thread when they share a message id (their own, answered or referred to) and the base
subject (RFC 8621 section 3). `mail.digest` makes one 64-bit key of both, so a lookup is one index probe
for each id. Threads that a late email turns out to join stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from postillon.account.ids import AccountId, EmailId, ThreadId
from postillon.store.operation import Steps


def join_thread(account: AccountId, email: EmailId, keys: Sequence[int]) -> Steps[ThreadId]:
    """The thread of a new email; it begins one, named like itself, when it knows no other."""
    if not keys:
        return ThreadId(email)
    if len(keys) == 1:
        rows = yield (
            "INSERT INTO thread_key (account, key, thread) VALUES (?, ?, ?)"
            " ON CONFLICT (account, key) DO UPDATE SET thread = thread_key.thread RETURNING thread",
            (account, keys[0], email),
        )
        return ThreadId(rows[0][0])
    marks = ",".join("?" * len(keys))
    rows = yield (
        f"SELECT key, thread FROM thread_key WHERE account = ? AND key IN ({marks})",  # noqa: S608
        (account, *keys),
    )
    known: dict[int, int] = dict(rows)
    thread = min(known.values()) if known else email
    values: list[int] = []
    for key in keys:
        if key not in known:
            values += (account, key, thread)
            known[key] = thread
    if values:
        marks = ",".join(["(?,?,?)"] * (len(values) // 3))
        yield (f"INSERT INTO thread_key (account, key, thread) VALUES {marks}", values)  # noqa: S608
    return ThreadId(thread)
