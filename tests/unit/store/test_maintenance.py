"""Checkpoints, compaction, expiry, sweeping, verification."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import apsw
import pytest

from postillon.setting import KIB
from postillon.store import compact
from postillon.store.checkpoint import FRAME_HEADER, checkpoint
from postillon.store.compact import Compactor, remove_retired, seal_abandoned, sweep
from postillon.store.config import StoreConfig
from postillon.store.database import NAME, PAGE
from postillon.store.expire import expire
from postillon.store.operation import NewBlob, Row, Steps, Tx
from postillon.store.pack import pack_path
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import Finding, verify
from support import mailrows

CONFIG = StoreConfig(pack_octets=64 * KIB, grace=timedelta(hours=1), checkpoint_octets=64 * KIB)


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def rows(sql: str, *arguments: object) -> Steps[list[Row]]:
    found = yield (sql, arguments)
    return found


def change(sql: str, *arguments: object):  # type: ignore[no-untyped-def]
    def operation(tx: Tx) -> Steps[None]:
        yield (sql, arguments)

    return operation


async def filled(folder: Path, clock: Time, emails: int = 20) -> SqliteStore:
    store = await open_store(folder, CONFIG, owner="w0", clock=clock)
    await store.write(mailrows.accounts(3))
    for n in range(emails):
        content = bytes([n]) * 10_000
        await store.write(mailrows.put(1 + n % 3, content), NewBlob(content, b"envelope %d" % n))
    return store


async def test_a_checkpoint_waits_for_its_measure_and_empties_the_log(tmp_path: Path) -> None:
    store = await open_store(tmp_path, CONFIG, owner="w0")
    assert (await checkpoint(store, force=True)).moved > 0
    await store.write(mailrows.accounts(1))
    small = await checkpoint(store)
    assert small.moved == 0 < small.log, "the log began anew and is below its measure"

    def more(tx: Tx) -> Steps[None]:
        for n in range(2_000):
            yield ("INSERT INTO meta (key, value) VALUES (?, ?)", (f"{n}", "x" * 100))

    await store.write(more)
    done = await checkpoint(store)
    assert done.moved == done.log > CONFIG.checkpoint_octets
    assert await verify(store) == []
    await store.close()


@pytest.mark.parametrize("page", [None, 4096])
async def test_the_log_is_measured_in_the_pages_the_database_was_made_with(
    tmp_path: Path, page: int | None
) -> None:
    if page is not None:
        old = apsw.Connection(str(tmp_path / NAME))
        old.execute(f"PRAGMA page_size = {page}; CREATE TABLE old (x bigint)")
        old.close()
    store = await open_store(tmp_path, CONFIG, owner="w0")
    await store.write(mailrows.accounts(1))
    done = await checkpoint(store, force=True)
    assert done.moved % ((page or PAGE) + FRAME_HEADER) == 0 < done.moved
    await store.close()
    assert (tmp_path / NAME).stat().st_size % (page or PAGE) == 0
    [(kept,)] = apsw.Connection(str(tmp_path / NAME)).execute("PRAGMA page_size").fetchall()
    assert kept == (page or PAGE)


async def test_a_log_kept_busy_by_readers_is_begun_anew_once_they_end(tmp_path: Path) -> None:
    store = await open_store(tmp_path, CONFIG, owner="w0")
    await checkpoint(store, force=True)  # what making the tables has logged is no matter here
    begun, ended = threading.Event(), threading.Event()

    def long_read() -> Steps[None]:
        yield ("SELECT count(*) FROM account", ())
        begun.set()
        ended.wait(10)

    reading = asyncio.ensure_future(store.read_apart(long_read()))
    await asyncio.get_running_loop().run_in_executor(None, begun.wait, 10)
    await store.write(mailrows.accounts(100))
    done = await checkpoint(store, force=True)
    assert done.moved < done.log
    ended.set()
    await reading
    done = await checkpoint(store, force=True)
    assert done.moved == done.log
    await store.close()


async def test_compaction_moves_what_lives_and_the_pack_goes_after_its_grace(
    tmp_path: Path,
) -> None:
    clock = Time()
    store = await filled(tmp_path, clock)
    before = mailrows.contents(store)
    old_refs = {key: ref for key, (_, _, ref) in store.read(mailrows.held()).items()}
    doomed = [key for n, key in enumerate(sorted(before)) if n % 3]
    for account, email in doomed:
        await store.write(mailrows.remove(account, email))
        del before[(account, email)]
    compactor = Compactor(store)
    done = []
    while (one := await compactor.compact_once()) is not None:
        done.append(one)
    assert [one.pack for one in done] == [1, 2]
    assert mailrows.contents(store) == before
    assert await verify(store) == []
    states = "SELECT pack, state FROM pack WHERE pack < 3 ORDER BY pack"
    assert store.read(rows(states)) == [(1, 2), (2, 2)]
    kept = next(iter(before))
    assert store.content(old_refs[kept]) == before[kept], "an old row still finds its octets"
    assert await remove_retired(store) == []
    clock.now += 3_600_000
    assert await remove_retired(store) == [1, 2]
    assert not pack_path(tmp_path / "packs", 1).exists()
    assert mailrows.contents(store) == before
    assert await verify(store) == []
    await store.close()


async def test_shared_records_stay_shared(tmp_path: Path) -> None:
    store = await open_store(tmp_path, CONFIG, owner="w0")
    await store.write(mailrows.accounts(2))

    def both(tx: Tx) -> Steps[None]:
        yield from mailrows.put_at(tx, 1, b"shared", tx.blob())
        yield from mailrows.put_at(tx, 2, b"shared", tx.blob())

    await store.write(both, NewBlob(b"shared"))
    garbage = await store.write(mailrows.put(1, b"x" * 70_000), NewBlob(b"x" * 70_000))
    await store.write(mailrows.put(1, b"next"), NewBlob(b"next"))
    await store.write(mailrows.remove(1, garbage.email))
    assert await Compactor(store).compact_once() is not None
    refs = [ref for _, digest, ref in store.read(mailrows.held()).values() if ref.length == 6]
    assert refs[0] == refs[1]
    assert refs[0].pack == 2
    await store.close()


async def test_a_full_pack_and_an_unsound_one_are_left_alone(tmp_path: Path) -> None:
    store = await filled(tmp_path, Time())
    compactor = Compactor(store)
    assert await compactor.compact_once() is None
    there = store.read(mailrows.held())
    in_first = [key for key, (_, _, ref) in there.items() if ref.pack == 1]
    for account, email in in_first[:4]:
        await store.write(mailrows.remove(account, email))
    hurt = there[in_first[-1]][2]
    with pack_path(tmp_path / "packs", 1).open("r+b") as file:
        file.seek(hurt.offset + 100)
        file.write(b"?")
    for _ in range(3):
        await compactor.compact_once()
    assert store.read(rows("SELECT state FROM pack WHERE pack = 1")) == [(1,)]
    assert [f.kind for f in await verify(store)] == ["blob"]
    await store.close()


async def test_a_row_that_comes_back_to_a_retired_pack_keeps_it(tmp_path: Path) -> None:
    clock = Time()
    store = await filled(tmp_path, clock, emails=8)
    there = store.read(mailrows.held())
    old = [(key, ref) for key, (_, _, ref) in there.items() if ref.pack == 1]
    for (account, email), _ in old:
        await store.write(mailrows.remove(account, email))
    compactor = Compactor(store)
    assert (await compactor.compact_once()) is not None
    content = store.content(old[0][1])
    await store.write(lambda tx: mailrows.put_at(tx, 1, content, old[0][1]))
    clock.now += 3_600_000
    assert await remove_retired(store) == []
    while await compactor.compact_once() is None:
        pass
    clock.now += 3_600_000
    assert await remove_retired(store) == [1]
    assert content in mailrows.contents(store).values()
    await store.close()


async def test_files_that_no_row_names_are_swept(tmp_path: Path) -> None:
    store = await filled(tmp_path, Time(), emails=1)
    pack_path(tmp_path / "packs", 2).write_bytes(b"left by a crash")
    (tmp_path / "packs" / "notes.txt").write_text("not ours")
    assert [f.where for f in await verify(store)] == ["2"]
    for _ in range(8):  # its number is passed over
        await store.write(mailrows.put(1, b"x" * 20_000), NewBlob(b"x" * 20_000))
    assert {ref.pack for _, _, ref in store.read(mailrows.held()).values()} == {1, 3, 4}
    assert await sweep(store) == [2]
    assert await sweep(store) == []
    assert (tmp_path / "packs" / "notes.txt").exists()
    assert await verify(store) == []
    await store.close()


async def test_packs_of_the_long_dead_are_sealed(tmp_path: Path) -> None:
    clock = Time()
    dead = await open_store(tmp_path, CONFIG, owner="w7", clock=clock)
    await dead.write(mailrows.accounts(1))
    await dead.write(mailrows.put(1, b"one"), NewBlob(b"one"))
    store = await open_store(tmp_path, CONFIG, owner="m", clock=clock)
    clock.now += compact.ABANDONED_MS
    assert await seal_abandoned(store) == []
    await dead.close()
    assert await seal_abandoned(store) == []
    clock.now += compact.ABANDONED_MS
    assert await seal_abandoned(store) == [1]
    dead = await open_store(tmp_path, CONFIG, owner="w7", clock=clock)
    await dead.write(mailrows.put(1, b"two"), NewBlob(b"two"))
    assert {ref.pack for _, _, ref in dead.read(mailrows.held()).values()} == {1, 2}
    await dead.close()
    await store.close()


async def test_uploads_end(tmp_path: Path) -> None:
    clock = Time()
    store = await open_store(tmp_path, CONFIG, owner="w0", clock=clock)
    for n in range(3):
        expires_at = clock.now + n
        sql = "INSERT INTO upload VALUES (1, ?, 1, 24, 0, ?, 'text/plain', ?)"
        await store.write(change(sql, n, b"", expires_at))
    clock.now += 1
    assert await expire(store) == 2
    assert store.read(rows("SELECT upload FROM upload")) == [(2,)]
    await store.close()


@pytest.mark.parametrize(
    ("harm", "kind", "where"),
    [
        ("UPDATE account SET used = used + 1 WHERE account = 1", "counter", "1"),
        ("UPDATE mailbox SET unseen = 0 WHERE account = 2", "counter", "2/1"),
        ("UPDATE mailbox SET deleted = 1 WHERE account = 2", "counter", "2/1"),
        ("UPDATE mailbox SET uid_next = 2 WHERE account = 3", "counter", "3/1"),
        ("UPDATE account SET modseq = 1 WHERE account = 1", "counter", "1"),
        ("UPDATE account SET next_id = 1 WHERE account = 1", "counter", "1"),
        ("INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination, state,"
         " due_at) VALUES (7, 0, '', '', '', '', '', 0)", "row", "queue/7/0"),
        ("UPDATE email SET start = start + 1 WHERE account = 1 AND email = 10", "blob", ""),
    ],
)  # fmt: skip
async def test_verification_finds_harm(tmp_path: Path, harm: str, kind: str, where: str) -> None:
    store = await filled(tmp_path, Time(), emails=6)
    assert await verify(store) == []
    await store.write(change(harm))
    [finding] = await verify(store)
    assert finding.kind == kind
    assert where in finding.where
    await store.close()


async def test_verification_finds_rows_that_hang_in_the_air(tmp_path: Path) -> None:
    store = await filled(tmp_path, Time(), emails=3)
    await store.write(change("DELETE FROM email WHERE account = 1"))
    await store.write(change("DELETE FROM placement WHERE account = 2"))
    await store.write(change("DELETE FROM mailbox WHERE account = 3"))
    problems = {f.problem for f in await verify(store, octets=False) if f.kind == "row"}
    assert problems == {
        "a placement has no email", "an email is in no mailbox", "a placement has no mailbox",
    }  # fmt: skip
    assert all(isinstance(f, Finding) for f in await verify(store))
    await store.close()
