"""Large blobs: a pack each, written once."""

from __future__ import annotations

import asyncio
import errno
import os
from datetime import timedelta
from pathlib import Path

import pytest

from postillon.store.compact import Compactor, remove_retired
from postillon.store.config import StoreConfig
from postillon.store.files import OsFiles
from postillon.store.large import LargeBlob, LargeWriter
from postillon.store.operation import BlobRef, NewBlob, Steps, StoreError, StoreFull, Tx
from postillon.store.sqlite import SqliteStore, open_store
from postillon.store.verify import verify
from support import mailrows

CONTENT = bytes(range(256)) * 4_000


def arrived(store: SqliteStore, content: bytes = CONTENT) -> NewBlob:
    """Content as it comes in: in pieces, cut anywhere."""
    writer = LargeWriter(store.folder / "run")
    for start in range(0, len(content), 70_001):
        writer.write([content[start : start + 70_001]])
    return NewBlob(writer.finish())


def append(tx: Tx) -> Steps[list[BlobRef]]:
    yield ("SELECT 1", ())
    return [tx.blob(0), tx.blob(1), tx.blob(2)]


def files(store: SqliteStore) -> list[str]:
    return sorted(os.listdir(store.folder / "packs"))


async def test_one_is_a_pack_of_its_own_and_reads_like_any_other(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    await store.write(mailrows.accounts(1))
    blob = arrived(store)
    assert blob.content[:] == CONTENT
    assert blob.content.find(CONTENT[-500:]) == CONTENT.find(CONTENT[-500:])
    placed = await store.write(mailrows.put(1, CONTENT), blob)
    [(_, digest, ref)] = store.read(mailrows.held()).values()
    assert digest == placed.digest
    assert store.content(ref) == CONTENT
    assert store.content(ref, 300, 310) == CONTENT[300:310]
    assert len(files(store)) == 1
    assert await verify(store) == []
    await store.close()
    store = await open_store(tmp_path, owner="w0")
    assert await store.fetch(ref) == CONTENT
    await store.close()


async def test_octets_and_name_are_durable_before_the_row(tmp_path: Path) -> None:
    steps: list[str] = []

    class Watching(OsFiles):
        def sync_data(self, fd: int) -> None:
            steps.append("log" if os.readlink(f"/proc/self/fd/{fd}").endswith("-wal") else "octets")

        def link(self, fd: int, path: Path) -> None:
            steps.append("name")
            super().link(fd, path)

        def sync_folder(self, path: Path) -> None:
            steps.append(f"folder {path.name}")

    store = await open_store(tmp_path, owner="w0", files=Watching())
    await store.write(mailrows.accounts(1))
    steps.clear()
    await store.write(mailrows.put(1, CONTENT), arrived(store))
    assert steps == ["octets", "octets", "name", "folder packs", "log"]
    await store.close()


async def test_large_and_small_ones_travel_in_one_operation(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    refs, other = await asyncio.gather(
        store.write(append, NewBlob(b"small"), arrived(store), NewBlob(b"another")),
        store.write(append, NewBlob(b"1"), NewBlob(b"2"), arrived(store, b"3" * 10_000)),
    )
    assert [store.content(ref) for ref in refs] == [b"small", CONTENT, b"another"]
    assert [store.content(ref) for ref in other] == [b"1", b"2", b"3" * 10_000]
    await store.close()


async def test_what_is_not_accepted_leaves_nothing(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    before = sorted(os.listdir(store.folder / "run"))
    blob = arrived(store)
    del blob
    assert files(store) == []
    assert sorted(os.listdir(store.folder / "run")) == before
    await store.close()


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EIO])
async def test_without_room_for_the_name_the_operation_fails_whole(
    tmp_path: Path, error: int
) -> None:
    class Failing(OsFiles):
        def link(self, fd: int, path: Path) -> None:
            if failing:
                raise OSError(error, os.strerror(error))
            super().link(fd, path)

    failing = [True]
    store = await open_store(tmp_path, owner="w0", files=Failing())
    await store.write(mailrows.accounts(1))
    blob = arrived(store)
    with pytest.raises(StoreFull if error == errno.ENOSPC else StoreError):
        await store.write(mailrows.put(1, CONTENT), blob)
    assert files(store) == []
    assert await verify(store) == []
    failing.clear()
    await store.write(mailrows.put(1, CONTENT), blob)
    assert await verify(store) == []
    await store.close()


async def test_one_whose_operation_failed_is_used_again(tmp_path: Path) -> None:
    """An id was taken already: the same message is accepted under another one."""

    def refuse(tx: Tx) -> Steps[None]:
        yield ("SELECT 1", ())
        raise KeyError

    store = await open_store(tmp_path, owner="w0")
    await store.write(mailrows.accounts(1))
    blob = arrived(store)
    with pytest.raises(KeyError):
        await store.write(refuse, blob)
    await store.write(mailrows.put(1, CONTENT), blob)
    assert len(files(store)) == 1
    assert await verify(store) == []
    await store.close()


async def test_its_pack_goes_when_the_message_goes(tmp_path: Path) -> None:
    config = StoreConfig(grace=timedelta(0))
    store = await open_store(tmp_path, config, owner="w0")
    await store.write(mailrows.accounts(1))
    compactor = Compactor(store)
    placed = await store.write(mailrows.put(1, CONTENT), arrived(store))
    assert await compactor.compact_once() is None, "all of it is live"
    await store.write(mailrows.remove(1, placed.email))
    await compactor.compact_once()
    await compactor.compact_once()
    assert len(await remove_retired(store)) == 1
    assert files(store) == []
    await store.close()


async def test_with_an_envelope_it_is_copied_into_the_open_pack(tmp_path: Path) -> None:
    store = await open_store(tmp_path, owner="w0")
    content = arrived(store).content
    assert isinstance(content, LargeBlob)
    ref, *_ = await store.write(append, NewBlob(content, b"envelope"), NewBlob(b""), NewBlob(b""))
    assert store.content(ref) == CONTENT
    assert content.ref is None
    await store.close()
