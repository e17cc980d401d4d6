"""What SQLite does in its own way; what it shares with PostgreSQL is in test_store_contract."""

from __future__ import annotations

import asyncio
import errno
import threading
from itertools import count
from pathlib import Path

import pytest

from postillon.log import Level, Log
from postillon.setting import KIB, ConfigError
from postillon.store import commit, counters
from postillon.store.batch import MOST_HERE, OCTETS_HERE
from postillon.store.config import StoreConfig
from postillon.store.operation import (
    BlobRef,
    Brief,
    NewBlob,
    Steps,
    StoreError,
    StoreFull,
    StoreStopped,
    Tx,
)
from postillon.store.sqlite import SqliteStore, open_store
from support import mailrows
from support.faults import FailingFiles, FailingVfs, Fault

_names = count()


def keep(key: str, value: str = ""):  # type: ignore[no-untyped-def]
    def operation(tx: Tx) -> Steps[str]:
        yield ("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
        return key

    return operation


def keys() -> Steps[list[str]]:
    rows = yield ("SELECT key FROM meta WHERE key <> 'boot' ORDER BY key", ())
    return [row[0] for row in rows]


def append(tx: Tx) -> Steps[BlobRef]:
    yield ("SELECT 1", ())
    return tx.blob()


async def test_a_write_is_read_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    assert await store.write(keep("a")) == "a"
    ref = await store.write(append, NewBlob(b"content", b"envelope"))
    assert store.read(keys()) == await store.read_apart(keys()) == ["a"]
    assert store.content(ref, 2, 4) == b"nt"
    await store.close()
    await store.close()
    store = await open_store(tmp_path, owner="w0", fresh_ok=False)
    assert store.read(keys()) == ["a"]
    assert await store.fetch(ref) == b"content"
    again = await store.write(append, NewBlob(b"more"))
    assert again.pack == ref.pack, "a sound pack goes on"
    await store.close()


@pytest.mark.parametrize("brief", [False, True])
async def test_a_failed_operation_leaves_nothing_and_disturbs_nobody(
    tmp_path: Path, brief: bool
) -> None:
    as_is = Brief if brief else lambda operation: operation
    store = await open_store(tmp_path, owner="w0")
    await store.write(append, NewBlob(b"begins the pack"))
    told: list[tuple[int, int]] = []
    store.on_commit(lambda changes, topics: told.extend(changes))

    def failing(tx: Tx) -> Steps[None]:
        yield from keep("lost")(tx)
        tx.changed(1, 1)
        raise KeyError("mine")

    def good(tx: Tx) -> Steps[None]:
        tx.changed(2, 2)
        yield from keep("kept")(tx)

    results = await asyncio.gather(
        *(store.write(as_is(each)) for each in (keep("first"), failing, good, keep("first"))),
        return_exceptions=True,
    )  # fmt: skip
    assert results[0] == "first"
    assert isinstance(results[1], KeyError)
    assert results[2] is None
    assert isinstance(results[3], StoreError)
    assert store.read(keys()) == ["first", "kept"]
    await asyncio.sleep(0)
    assert told == [(2, 2)]
    await store.close()


async def test_brief_operations_run_in_the_loops_thread_and_others_apart(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")

    def where(tx: Tx) -> Steps[int]:
        yield ("SELECT 1", ())
        return threading.get_ident()

    here = threading.get_ident()
    assert await store.write(Brief(where), NewBlob(b"begins a pack, with waits of its own")) != here
    assert await store.write(Brief(where), NewBlob(b"x")) == here
    assert await store.write(where) != here
    mixed = await asyncio.gather(store.write(Brief(where)), store.write(where))
    assert here not in mixed
    many = await asyncio.gather(*(store.write(Brief(where)) for _ in range(MOST_HERE + 1)))
    assert here not in many, "too many to keep the loop for"
    large = await store.write(Brief(where), NewBlob(b"x" * (OCTETS_HERE + 1)))
    assert large != here
    await store.close()


async def test_a_brief_operation_never_keeps_the_loop_waiting_for_another_writer(
    tmp_path: Path,
) -> None:
    store = await open_store(tmp_path, owner="w0")
    await store.write(append, NewBlob(b"begins the pack"))
    lock = store.opened.lock_again()
    lock.acquire()
    waiting = asyncio.ensure_future(store.write(Brief(keep("a"))))
    done, _ = await asyncio.wait([waiting], timeout=0.05)
    assert not done, "the loop goes on, the operation waits"
    lock.release()
    assert await waiting == "a"
    lock.close()
    await store.close()


async def test_what_sqlite_refuses_is_raised_where_the_operation_yielded(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")

    def operation(tx: Tx) -> Steps[str]:
        yield from keep("a")(tx)
        try:
            yield from keep("a")(tx)
        except Exception:
            return "known already"
        return "new"

    assert await store.write(operation) == "known already"
    await store.close()


async def test_operations_that_wait_share_a_batch_within_its_bounds(tmp_path: Path) -> None:
    config = StoreConfig(batch_operations=10, batch_octets=5_000)
    store = await open_store(tmp_path, config, owner="w0")
    began, hold = threading.Event(), threading.Event()

    def holding(tx: Tx) -> Steps[None]:
        yield ("SELECT 1", ())
        began.set()
        hold.wait(10)

    first = asyncio.ensure_future(store.write(holding))
    while not began.is_set():
        await asyncio.sleep(0)
    many = [asyncio.ensure_future(store.write(keep(f"{n:02}"))) for n in range(25)]
    large = [asyncio.ensure_future(store.write(append, NewBlob(b"x" * 3_000))) for _ in range(3)]
    await asyncio.sleep(0)
    hold.set()
    await asyncio.gather(first, *many, *large)
    # 1 held; 25 small ones as 10, 10, 5 and one large; two large ones alone.
    assert store.batches == (6, 29)
    await store.close()


async def test_a_read_sees_one_moment_and_may_hold_another_read(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    await store.write(keep("a"))

    async def write() -> None:
        other = await open_store(tmp_path, owner="w1")
        await other.write(keep("b"))
        await other.close()

    def reading() -> Steps[tuple[list[str], list[str]]]:
        first = yield from keys()
        writer = threading.Thread(target=lambda: asyncio.run(write()))
        writer.start()
        writer.join()  # "b" is durable now
        return first, store.read(keys())

    first, second = store.read(reading())
    assert first == second == ["a"]
    with pytest.raises(StoreError):
        store.read(keep("no")(None))  # type: ignore[arg-type]  # a reader cannot write
    assert store.read(keys()) == ["a", "b"]
    await store.close()


async def test_packs_are_sealed_at_their_size(tmp_path: Path) -> None:
    store = await open_store(tmp_path, StoreConfig(pack_octets=64 * KIB), owner="w0")
    refs = [await store.write(append, NewBlob(b"x" * 30_000)) for _ in range(7)]
    assert [ref.pack for ref in refs] == [1, 1, 1, 2, 2, 2, 3]

    def rows() -> Steps[list[tuple[int, int, int, int]]]:
        found = yield ("SELECT pack, state, size, synced FROM pack ORDER BY pack", ())
        return [(row[0], row[1], row[2], row[3]) for row in found]

    assert [row[:2] for row in store.read(rows())] == [(1, 1), (2, 1), (3, 0)]
    await store.close()
    store = await open_store(tmp_path, owner="w0")
    assert all(size == synced for _, _, size, synced in store.read(rows()))
    await store.close()


async def test_no_room_fails_what_needs_room_and_the_store_goes_on(tmp_path: Path) -> None:
    fault = Fault(at=10_000, error=errno.ENOSPC)
    store = await open_store(tmp_path, owner="w0", files=FailingFiles(fault))
    await store.write(append, NewBlob(b"first"))
    fault.at = fault.count + 1
    with pytest.raises(StoreFull):
        await store.write(append, NewBlob(b"second"))
    assert not store.stopped.is_set()
    await store.write(keep("a"))
    ref = await store.write(append, NewBlob(b"third"))
    assert store.content(ref) == b"third"
    await store.close()


async def test_no_room_for_rows_fails_the_batch_and_the_store_goes_on(tmp_path: Path) -> None:
    fault = Fault(at=10_000, error=errno.ENOSPC)
    name = f"full-{next(_names)}"
    vfs = FailingVfs(name, fault)
    store = await open_store(tmp_path, owner="w1", vfs=name)
    fault.at = fault.count + 1
    with pytest.raises(StoreFull):
        await store.write(keep("a"))
    assert not store.stopped.is_set()
    await store.write(keep("a"))
    assert store.read(keys()) == ["a"]
    await store.close()
    vfs.unregister()


@pytest.mark.parametrize("quick", [True, False])
async def test_a_slow_disk_syncs_pack_and_log_at_the_same_time_and_a_quick_one_begins_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    monkeypatch.setattr(commit, "QUICK_S", 60.0 if quick else -1.0)
    threads: dict[int, int] = {}

    class Watched(FailingFiles):
        def sync_data(self, fd: int) -> None:
            threads[fd] = threading.get_ident()
            super().sync_data(fd)

        def sync_soon(self, fd: int, offset: int, length: int) -> None:
            begun.append((fd, offset, length))
            super().sync_soon(fd, offset, length)

    begun: list[tuple[int, int, int]] = []
    store = await open_store(tmp_path, owner="w0", files=Watched(Fault(10_000)))
    await store.write(append, NewBlob(b"begins a pack, with waits of its own"))
    threads.clear()
    begun.clear()
    assert store._committer.pack is not None
    size = store._committer.pack.size
    await store.write(Brief(append), NewBlob(b"second"))
    pack = store._committer.pack
    assert begun == ([(pack.fd, size, pack.size - size)] if quick else [])
    assert threads.keys() == {store._committer.pack.fd, store.opened.wal_fd}
    assert len(set(threads.values())) == (1 if quick else 2)
    await store.close()


@pytest.mark.parametrize("quick", [True, False])
async def test_what_may_replace_rows_has_its_octets_on_disk_before_it_is_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: bool
) -> None:
    """Else a power cut can take a report's octets, and with them its rows, but not what it replaced."""
    monkeypatch.setattr(commit, "QUICK_S", 60.0 if quick else -1.0)
    synced: list[tuple[bool, int]] = []  # of the pack; how long the rows say that it is

    class Watched(FailingFiles):
        def sync_data(self, fd: int) -> None:
            if began:
                synced.append((fd == began[0], store._read_apart(size_told())[0]))
            super().sync_data(fd)

    began: list[int] = []

    def size_told() -> Steps[tuple[int, int]]:
        rows = yield "SELECT size, synced FROM pack ORDER BY pack DESC LIMIT 1", ()
        return rows[0]

    store = await open_store(tmp_path, owner="w0", files=Watched(Fault(10_000)))
    await store.write(append, NewBlob(b"begins a pack"))
    pack = store._committer.pack
    assert pack is not None
    before = pack.size
    began.append(pack.fd)
    await store.write(append, NewBlob(b"second"))
    assert synced == [(True, before), (False, pack.size)]
    assert store.read(size_told()) == (pack.size, before)
    await store.close()


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("which", [1, 2])
async def test_a_failed_sync_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, which: int, quick: bool
) -> None:
    """Of the pack or of the log: stop, tell, never try again (FAULTS 48)."""
    monkeypatch.setattr(commit, "QUICK_S", 60.0 if quick else -1.0)
    lines: list[bytes] = []

    class Failing(FailingFiles):
        def sync_data(self, fd: int) -> None:
            syncs.append(fd)
            if armed and fd == doomed():
                raise OSError(errno.EIO, "Input/output error")

    syncs: list[int] = []
    armed: list[int] = []

    def doomed() -> int:
        pack = store._committer.pack
        assert pack is not None
        return pack.fd if which == 1 else store.opened.wal_fd

    store = await open_store(
        tmp_path, owner="w0", files=Failing(Fault(10_000)), log=Log(lines.append, Level.ERROR)
    )
    await store.write(append, NewBlob(b"first"))
    armed.append(-1)
    told: list[str] = []
    store.on_commit(lambda changes, topics: told.extend(topics))

    def operation(tx: Tx) -> Steps[None]:
        yield from keep("a")(tx)
        tx.announce("queue")

    with pytest.raises(StoreStopped):
        await store.write(operation, NewBlob(b"second"))
    async with asyncio.timeout(5):
        await store.stopped.wait()
    number = len(syncs)
    with pytest.raises(StoreStopped):
        await store.write(keep("b"))
    assert store.read(keys()) is not None, "reading goes on"
    assert len(syncs) == number
    assert told == []
    assert any(b"store sync failed" in line for line in lines)
    await store.close()


async def test_a_slot_has_one_owner_and_commands_share_a_kind(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    with pytest.raises(StoreError, match="another process"):
        await open_store(tmp_path, owner="w0")
    one = await open_store(tmp_path, owner="cli")
    two = await open_store(tmp_path, owner="cli")
    assert (one.owner, two.owner) == ("cli-1", "cli-2")
    await asyncio.gather(one.write(keep("a")), two.write(keep("b")), store.write(keep("c")))
    assert store.read(keys()) == ["a", "b", "c"]
    for opened in (one, two, store):
        await opened.close()
    with pytest.raises(StoreError):
        await open_store(tmp_path, owner="../w0")
    with pytest.raises(StoreError):
        await open_store(tmp_path / "nothing", owner="w0", fresh_ok=False)
    assert not (tmp_path / "nothing").exists()


async def test_workers_write_beside_each_other(tmp_path: Path) -> None:
    stores = [await open_store(tmp_path, owner=f"w{n}") for n in range(3)]
    await stores[0].write(mailrows.accounts(2))

    async def fill(store: SqliteStore, n: int) -> None:
        for m in range(10):
            content = b"%d %d" % (n, m)
            await store.write(mailrows.put(1 + m % 2, content), NewBlob(content))

    await asyncio.gather(*(fill(store, n) for n, store in enumerate(stores)))
    for store in stores:
        assert len(mailrows.contents(store)) == 30
    for store in stores:
        await store.close()


async def test_ids_of_no_account_count_from_one(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    given = [await store.write(lambda tx: counters.next_id("domain")) for _ in range(3)]
    assert given == [1, 2, 3]
    assert await store.write(lambda tx: counters.next_id("principal")) == 1
    await store.close()


@pytest.mark.parametrize(
    "wrong",
    [{"pack_octets": 1}, {"batch_operations": 0}, {"batch_octets": 0}, {"mapped": -1},
     {"readers": 0}, {"garbage": 0}],
)  # fmt: skip
def test_a_configuration_that_cannot_work_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ConfigError):
        StoreConfig(**wrong)
