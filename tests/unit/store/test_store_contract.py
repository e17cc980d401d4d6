"""What every database must do alike: answers, errors, octets, notifications, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from postillon.store import counters
from postillon.store.operation import (
    BlobLost,
    BlobRef,
    NewBlob,
    Steps,
    StoreError,
    StoreStopped,
    Tx,
    WriteOperation,
)
from support.stores import KINDS, fresh_database, open_test_store, using


@pytest.fixture(params=KINDS, autouse=True)
def database(request: pytest.FixtureRequest) -> Iterator[None]:
    with using(request.param):
        yield


def keep(key: str, value: str = "") -> WriteOperation[str]:
    def operation(tx: Tx) -> Steps[str]:
        yield ("INSERT INTO meta (key, value) VALUES (?, ?)", (key, value))
        return key

    return operation


def keys() -> Steps[list[str]]:
    rows = yield ("SELECT key FROM meta WHERE key <> 'boot' ORDER BY key", ())
    return [row[0] for row in rows]


def place(tx: Tx) -> Steps[BlobRef]:
    yield ("SELECT 1", ())
    return tx.blob()


async def test_what_was_written_is_read_at_once_and_after_a_restart(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    assert await store.write(keep("a")) == "a"
    ref = await store.write(place, NewBlob(b"content"))
    assert await store.query(keys()) == await store.read_apart(keys()) == ["a"]
    await store.close()
    await store.close()
    store = await open_test_store(tmp_path, owner="w0", fresh_ok=False)
    assert await store.query(keys()) == ["a"]
    assert await store.fetch(ref) == b"content"
    await store.close()


async def test_a_failed_operation_leaves_nothing_and_disturbs_nobody(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
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
        *(store.write(each) for each in (keep("first"), failing, good, keep("first"))),
        return_exceptions=True,
    )
    assert results[0] == "first"
    assert isinstance(results[1], KeyError)
    assert results[2] is None
    assert isinstance(results[3], StoreError)
    assert await store.query(keys()) == ["first", "kept"]
    await asyncio.sleep(0)
    assert told == [(2, 2)]
    await store.close()


async def test_a_refused_statement_is_raised_where_the_operation_yielded(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    await store.write(keep("a"))
    noticed = []

    def operation(tx: Tx) -> Steps[None]:
        try:
            yield from keep("a")(tx)
        except Exception as error:
            noticed.append(error)
            raise

    with pytest.raises(StoreError):
        await store.write(operation)
    assert noticed
    assert await store.query(keys()) == ["a"]
    await store.close()


async def test_octets_come_back_whole_and_in_part(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    content = bytes(range(256)) * 5000

    def both(tx: Tx) -> Steps[tuple[BlobRef, BlobRef]]:
        yield ("SELECT 1", ())
        return tx.blob(0), tx.blob(1)

    large, empty = await store.write(both, NewBlob(content), NewBlob(b""))
    assert (large.length, empty.length) == (len(content), 0)
    assert await store.fetch(large) == content
    assert await store.fetch(empty) == b""
    for start, stop in ((0, 1), (1, 1), (7, 700_000), (len(content) - 3, len(content) + 9)):
        assert await store.fetch(large, start, stop) == content[start:stop]
    await store.close()


async def test_octets_that_were_announced_are_the_same(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    contents = [b"%d" % n * 3000 * n for n in range(8)]
    refs = [await store.write(place, NewBlob(content)) for content in contents]
    lost = BlobRef(10**6, 24, 5)
    for octets in (0, 10, 8192, 10**6):
        await store.ahead([*refs, lost], octets)
        for ref, content in zip(refs, contents, strict=True):
            for start, stop in ((0, None), (0, 10), (5, 9000), (9, 3), (100, 10**7)):
                assert await store.fetch(ref, start, stop) == content[start:stop]
        with pytest.raises(BlobLost):
            await store.fetch(lost)
    await store.close()


async def test_what_is_not_there_is_lost(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    ref = await store.write(place, NewBlob(b"content"))
    for wrong in (
        BlobRef(999, ref.offset, 7),
        BlobRef(ref.pack, ref.offset + 1, 6),
        BlobRef(ref.pack, ref.offset, 6),
        BlobRef(ref.pack, ref.offset, 8),
    ):
        with pytest.raises(BlobLost):
            await store.fetch(wrong)
        with pytest.raises(BlobLost):
            await store.fetch(wrong, 1, 3)
    await store.close()


async def test_octets_of_every_caller_are_its_own(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")

    def failing(tx: Tx) -> Steps[BlobRef]:
        yield ("SELECT 1", ())
        raise KeyError("mine")

    jobs = [
        store.write(failing if n % 5 == 4 else place, NewBlob(b"%d" % n * n)) for n in range(40)
    ]
    refs = await asyncio.gather(*jobs, return_exceptions=True)
    for n, ref in enumerate(refs):
        if n % 5 == 4:
            assert isinstance(ref, KeyError)
        else:
            assert isinstance(ref, BlobRef)
            assert await store.fetch(ref) == b"%d" % n * n
    await store.close()


async def test_answers_come_before_notifications(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    order: list[str] = []

    def listener(changes: object, topics: object) -> None:
        order.append(f"{changes} {topics}")

    def failing(changes: object, topics: object) -> None:
        raise KeyError("mine")

    store.on_commit(failing)
    store.on_commit(listener)

    def operation(tx: Tx) -> Steps[None]:
        tx.changed(5, 6)
        tx.announce("queue")
        tx.announce("queue")
        yield ("SELECT 1", ())

    async def caller() -> None:
        await store.write(operation)
        order.append("answer")

    await caller()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert order == ["answer", "[(5, 6)] ['queue']"]
    await store.close()


async def test_a_cancelled_caller_does_not_undo_its_operation(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    task = asyncio.ensure_future(store.write(keep("a")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await store.write(keep("b"))
    assert await store.query(keys()) == ["a", "b"]
    await store.close()


async def test_closing_commits_what_was_asked_and_refuses_the_rest(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    asked = [asyncio.ensure_future(store.write(keep(f"{n}"))) for n in range(5)]
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*asked) == ["0", "1", "2", "3", "4"]
    with pytest.raises(StoreStopped):
        await store.write(keep("late"))


async def test_a_read_sees_one_moment(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    other = await open_test_store(tmp_path, owner="w1")
    await store.write(keep("a"))
    writing: list[asyncio.Future[str]] = []

    def twice() -> Steps[tuple[list[str], list[str]]]:
        first = yield from keys()
        writing.append(asyncio.ensure_future(other.write(keep("b"))))
        for _ in range(20):  # time for the other one where reads take any
            yield ("SELECT 1", ())
        second = yield from keys()
        return first, second

    first, second = await store.query(twice())
    assert first == second == ["a"]
    assert await writing[0] == "b"
    assert await store.query(keys()) == ["a", "b"]
    await store.close()
    await other.close()


async def test_ids_are_given_once_however_many_write(tmp_path: Path) -> None:
    stores = [await open_test_store(tmp_path, owner=f"w{n}") for n in range(3)]

    def operation(tx: Tx) -> Steps[int]:
        return (yield from counters.next_id("principal"))

    given = await asyncio.gather(*(store.write(operation) for store in stores * 20))
    assert sorted(given) == list(range(1, 61))
    for store in stores:
        await store.close()


async def test_a_slot_has_one_owner_and_commands_share_a_kind(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    with pytest.raises(StoreError, match="w0"):
        await open_test_store(tmp_path, owner="w0")
    one = await open_test_store(tmp_path, owner="cli")
    two = await open_test_store(tmp_path, owner="cli")
    assert one.owner != two.owner
    for each in (store, one, two):
        await each.close()


async def test_text_is_ordered_by_its_octets(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    wanted = ["B", "_", "a", "b", "é", "中"]
    for key in reversed(wanted):
        await store.write(keep(key))
    assert await store.query(keys()) == wanted
    await store.close()


async def test_a_store_is_not_made_where_one_was_expected(tmp_path: Path) -> None:
    with fresh_database(), pytest.raises(StoreError, match="there is no store"):
        await open_test_store(tmp_path, owner="w0", fresh_ok=False)
