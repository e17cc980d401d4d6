"""Which emails belong to one exchange.

Two emails share a thread when they share a message id (their own, answered or referred to) and the base
subject (RFC 8621 section 3, RFC 5256 section 2.1). Both go into one 64-bit key, so a lookup is one
index probe for each id. Threads that a late email turns out to join stay as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

from postillon.account.ids import AccountId, EmailId, ThreadId
from postillon.store.operation import Steps

MAX_KEYS = 20  # of one email; ours (FAULTS 24). The first, then the newest references, count most.


def thread_keys(message_ids: Sequence[bytes], base_subject: str) -> tuple[int, ...]:
    """Keys of an email. `message_ids`: its own first, then those it answers and refers to."""
    ids = list(dict.fromkeys(item for item in message_ids if item))
    if len(ids) > MAX_KEYS:
        ids = ids[:1] + ids[1 - MAX_KEYS :]
    subject = base_subject.encode("utf-8", "surrogatepass")
    return tuple(
        int.from_bytes(blake2b(item + b"\0" + subject, digest_size=8).digest(), "big", signed=True)
        for item in ids
    )


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
    known = dict(rows)
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
