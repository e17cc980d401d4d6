"""What a durable operation of the store costs: operations per second and CPU per operation.

    python benchmarks/store.py [--producers 1,4,20,64] [--seconds 3] [--octets 10240]

The operation is shaped like a local delivery: one blob and eight statements. CPU is that of the whole
process (all threads, the kernel's part, checkpoints), producers included. Each line comes after a
warm-up, so that files are overwritten as in a server that has run for a while.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path

from postillon.store.checkpoint import checkpoint
from postillon.store.operation import NewBlob, Steps, Tx
from postillon.store.sqlite import SqliteStore, open_store

ACCOUNTS = 200
ENVELOPE = b"e" * 100


def account_rows(tx: Tx) -> Steps[None]:
    for account in range(1, ACCOUNTS + 1):
        yield (
            "INSERT INTO account (account, epoch, modseq, next_id, low_modseq, quota, used, emails,"
            " indexed_modseq) VALUES (?, 1, 1, 10, 0, NULL, 0, 0, 0)",
            (account,),
        )
        yield (
            "INSERT INTO mailbox (account, mailbox, parent, name, uid_validity, uid_next, recent_uid,"
            " total, unseen, deleted, octets, modseq, changed, created)"
            " VALUES (?, 1, 0, 'INBOX', 1, 1, 1, 0, 0, 0, 0, 1, 1, 1)",
            (account,),
        )


def delivery(account: int, number: int, size: int):  # type: ignore[no-untyped-def]
    def operation(tx: Tx) -> Steps[int]:
        ref = tx.blob()
        [(modseq, email)] = yield (
            "UPDATE account SET modseq = modseq + 1, next_id = next_id + 2, used = used + ?,"
            " emails = emails + 1 WHERE account = ? AND (quota IS NULL OR used + ? <= quota)"
            " RETURNING modseq, next_id - 2",
            (size, account, size),
        )
        [(uid,)] = yield (
            "UPDATE mailbox SET uid_next = uid_next + 1, total = total + 1, unseen = unseen + 1,"
            " octets = octets + ?, modseq = ? WHERE account = ? AND mailbox = 1 RETURNING uid_next - 1",
            (size, modseq, account),
        )
        known = yield (
            "SELECT thread FROM thread_key WHERE account = ? AND key IN (?, ?)",
            (account, number, -number),
        )
        thread = known[0][0] if known else email
        yield (
            "INSERT INTO thread_key (account, key, thread) VALUES (?, ?, ?), (?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (account, number, thread, account, -number, thread),
        )
        yield (
            "INSERT INTO email (account, email, thread, pack, start, length, size, digest, prefix,"
            " received_at, sent_at, header, structure, preview, queue_id, created, content_changed,"
            " seen_changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (account, email, thread, ref.pack, ref.offset, ref.length, size, b"d" * 32, b"p" * 200,
             tx.now, tx.now, b"h" * 300, b"s" * 40, "preview " * 12, number, modseq, modseq, modseq),
        )  # fmt: skip
        yield (
            "INSERT INTO placement (account, mailbox, uid, email, placement, flags, keywords, modseq,"
            " created, saved_at) VALUES (?, 1, ?, ?, ?, 0, NULL, ?, ?, ?)",
            (account, uid, email, email + 1, modseq, modseq, tx.now),
        )
        yield (
            "INSERT INTO change (account, modseq, n, kind, mailbox, uid, object, at)"
            " VALUES (?, ?, 0, 1, 1, ?, ?, ?)",
            (account, modseq, uid, email, tx.now),
        )
        yield (
            "INSERT INTO trace (queue_id, at, reverse_path, forward_paths, message_id, facts)"
            " VALUES (?, ?, 'ada@example.org', 'bob@example.net', '<1@example.org>', ?)",
            (number, tx.now, '{"peer":"192.0.2.1","protocol":"ESMTP"}'),
        )
        tx.changed(account, modseq)
        return int(uid)

    return operation


async def measure(
    store: SqliteStore, producers: int, seconds: float, octets: int, base: int, quiet: bool = False
) -> int:
    blob = NewBlob(os.urandom(octets), ENVELOPE)
    done = 0
    waits: list[float] = []
    until = time.perf_counter() + seconds

    async def produce(n: int) -> None:
        nonlocal done
        while (begun := time.perf_counter()) < until:
            done += 1
            number = base + done
            await store.write(delivery(number % ACCOUNTS + 1, number, octets), blob)
            waits.append(time.perf_counter() - begun)

    batches, operations = store.batches
    begun, cpu = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
    await asyncio.gather(*(produce(n) for n in range(producers)))
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    user, system = after.ru_utime - cpu.ru_utime, after.ru_stime - cpu.ru_stime
    batches, operations = store.batches[0] - batches, store.batches[1] - operations
    waits.sort()
    if quiet:
        return done
    print(
        f"{producers:5} producers  {done / wall:8.0f} op/s  {1e6 * (user + system) / done:6.0f} us CPU"
        f" ({1e6 * user / done:.0f} user)  batch {operations / batches:5.1f}"
        f"  p50 {1e3 * waits[len(waits) // 2]:.2f} ms  p99 {1e3 * waits[len(waits) * 99 // 100]:.2f} ms"
    )
    return done


async def keep_checkpointing(store: SqliteStore) -> None:
    """What the maintenance process does."""
    while True:
        await asyncio.sleep(0.1)
        await checkpoint(store)


async def bench(arguments: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        store = await open_store(Path(folder), owner="w0")
        await store.write(account_rows)
        base = 0
        checkpoints = asyncio.ensure_future(keep_checkpointing(store))
        base += await measure(store, 20, arguments.seconds, arguments.octets, base, quiet=True)
        for producers in arguments.producers.split(","):
            base += await measure(store, int(producers), arguments.seconds, arguments.octets, base)
        checkpoints.cancel()
        await store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--producers", default="1,4,20,64")
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--octets", type=int, default=10_240)
    parser.add_argument("--folder", default=None)
    arguments = parser.parse_args()
    try:
        import uvloop

        uvloop.run(bench(arguments))
    except ImportError:
        asyncio.run(bench(arguments))


if __name__ == "__main__":
    main()
