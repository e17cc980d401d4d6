"""What a start puts right: tails of packs, counters, packs of the dead."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from postillon.account import keywords
from postillon.account.changes import Kind
from postillon.setting import KIB
from postillon.store import recovery
from postillon.store.config import StoreConfig
from postillon.store.files import OsFiles
from postillon.store.operation import NewBlob, Row, Steps, StoreError, Tx
from postillon.store.pack import pack_path
from postillon.store.recovery import GAP
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import verify
from support import mailrows

CONFIG = StoreConfig(pack_octets=64 * KIB)


class Boot(OsFiles):
    def __init__(self, name: str) -> None:
        self.name = name

    def boot_id(self) -> str:
        return self.name


def rows(sql: str, *arguments: object) -> Steps[list[Row]]:
    found = yield (sql, arguments)
    return found


async def crashed(folder: Path, target: Path, *contents: bytes) -> Path:
    """A store copied while it runs: as a killed process leaves it."""
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("one"))
    await store.write(mailrows.accounts(1))
    for content in contents:
        await store.write(mailrows.put(1, content), NewBlob(content))
    shutil.copytree(folder, target)
    await store.close()
    return target


def test_the_words_of_account_are_what_recovery_takes_them_for() -> None:
    assert (recovery.SEEN, recovery.DELETED) == (keywords.SEEN, keywords.DELETED)
    assert recovery.TOMBSTONE == Kind.DELETED


async def test_a_killed_process_loses_nothing_and_skips_nothing(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one", b"two")
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("one"))
    assert sorted(mailrows.contents(store).values()) == [b"one", b"two"]
    assert store.read(rows("SELECT uid_next FROM mailbox")) == [(3,)]
    await store.close()


async def test_after_a_power_cut_no_id_is_given_twice(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one")
    before = await open_store(tmp_path / "a", CONFIG, owner="w0", files=Boot("one"))
    sql = "SELECT a.modseq, a.next_id, m.uid_next FROM account a JOIN mailbox m USING (account)"
    [counters] = before.read(rows(sql))
    await before.close()
    for boot in ("two", "two"):  # the second start is of the same boot and clean
        store = await open_store(folder, CONFIG, owner="w0", files=Boot(boot))
        assert store.read(rows(sql)) == [tuple(number + GAP for number in counters)]
        await store.close()
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("three"))
    assert store.read(rows(sql)) == [tuple(number + GAP for number in counters)]
    await store.close()


async def test_where_boots_are_not_known_any_unclean_end_counts(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one")
    store = await open_store(folder, CONFIG, owner="w0", files=Boot(""))
    assert store.read(rows("SELECT uid_next FROM mailbox")) == [(2 + GAP,)]
    shutil.copytree(folder, tmp_path / "c")
    await store.close()
    store = await open_store(tmp_path / "c", CONFIG, owner="w0", files=Boot(""))
    assert store.read(rows("SELECT uid_next FROM mailbox")) == [(2 + 2 * GAP,)]
    await store.close()


async def test_unsound_octets_of_the_last_batch_take_their_rows_along(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"first", b"second" * 100)
    path = pack_path(folder / "packs", 1)
    os.truncate(path, path.stat().st_size - 1)
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("one"))
    assert list(mailrows.contents(store).values()) == [b"first"]
    assert await verify(store) == []
    change = "SELECT kind, mailbox, uid FROM change ORDER BY modseq DESC LIMIT 1"
    assert store.read(rows(change)) == [(Kind.DELETED, mailrows.INBOX, 2)]
    placed = await store.write(mailrows.put(1, b"third"), NewBlob(b"third"))
    assert placed.uid == 3
    assert sorted(mailrows.contents(store).values()) == [b"first", b"third"]
    await store.close()


async def test_unsound_octets_of_queue_and_uploads_take_their_rows_along(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "a", CONFIG, owner="w0")

    def operation(tx: Tx) -> Steps[None]:
        ref = tx.blob()
        yield (
            "INSERT INTO queue_message (queue_id, pack, start, length, digest, prefix, lane, body,"
            " smtputf8, envid, hops, accepted_at, expires_at)"
            " VALUES (7, ?, ?, ?, ?, ?, 0, '', 0, '', 0, 0, 0)",
            (ref.pack, ref.offset, ref.length, b"", b""),
        )
        yield (
            "INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination,"
            " state, due_at) VALUES (7, 0, 'a@b', '', 'remote', 'b', 'waiting', 0)",
            (),
        )
        yield ("INSERT INTO trace VALUES (7, 0, '', '', '', '{}')", ())
        yield (
            "INSERT INTO upload VALUES (1, 1, ?, ?, ?, ?, 'text/plain', 0)",
            (ref.pack, ref.offset, ref.length, b""),
        )

    await store.write(operation, NewBlob(b"content"))
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    await store.close()
    path = pack_path(tmp_path / "b" / "packs", 1)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    store = await open_store(tmp_path / "b", CONFIG, owner="w0")
    for table in ("queue_message", "queue_recipient", "trace", "upload"):
        assert store.read(rows(f"SELECT count(*) FROM {table}")) == [(0,)]
    assert await verify(store) == []
    await store.close()


async def test_octets_that_no_row_names_are_cut_off(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one")
    path = pack_path(folder / "packs", 1)
    size = path.stat().st_size
    with path.open("ab") as file:
        file.write(b"PREC" + bytes(100))
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("one"))
    assert path.stat().st_size == size
    await store.close()


@pytest.mark.parametrize("harm", ["missing", "short", "header"])
async def test_a_pack_that_lost_durable_octets_is_never_appended_to(
    tmp_path: Path, harm: str
) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one" * 100, b"two" * 100)
    path = pack_path(folder / "packs", 1)
    if harm == "missing":
        path.unlink()
    elif harm == "short":
        os.truncate(path, 50)
    else:
        path.write_bytes(b"\0" * path.stat().st_size)
    store = await open_store(folder, CONFIG, owner="w0", files=Boot("one"))
    placed = await store.write(mailrows.put(1, b"new"), NewBlob(b"new"))
    there = store.read(mailrows.held())
    assert there[(1, placed.email)][2].pack == 2
    # What was durable is missed and said; what was not is gone quietly.
    assert [f.kind for f in await verify(store)] == ["pack", "blob"]
    await store.close()


async def open_as(folder: Path, owner: str) -> SqliteStore:
    return await open_store(folder, CONFIG, owner=owner, files=Boot("one"))


async def test_the_tail_of_a_dead_worker_is_checked_by_whoever_starts(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one", b"two")
    path = pack_path(folder / "packs", 1)
    os.truncate(path, path.stat().st_size - 1)
    store = await open_as(folder, "w1")
    assert list(mailrows.contents(store).values()) == [b"one"]
    await store.write(mailrows.put(1, b"three"), NewBlob(b"three"))
    assert {ref.pack for _, _, ref in store.read(mailrows.held()).values()} == {1, 2}
    again = await open_as(folder, "w0")  # comes back and goes on with its own
    await again.write(mailrows.put(1, b"four"), NewBlob(b"four"))
    assert again._committer.pack is not None
    assert again._committer.pack.pack == 1
    assert await verify(again) == []
    await again.close()
    await store.close()


async def test_a_disk_that_cannot_sync_at_the_start_stops_it(tmp_path: Path) -> None:
    folder = await crashed(tmp_path / "a", tmp_path / "b", b"one")

    class Broken(Boot):
        def sync_data(self, fd: int) -> None:
            raise OSError(5, "Input/output error")

    with pytest.raises(StoreError):
        await open_store(folder, CONFIG, owner="w0", files=Broken("one"))
    await (await open_as(folder, "w0")).close()
