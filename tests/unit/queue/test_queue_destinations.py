"""The rows of queue_destination: one probe for all, lines, pace, and the administrator's hold."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from postillon.mail.outcome import Status
from postillon.queue import destinations
from postillon.queue.circuit import Probing
from postillon.queue.rows import FAR
from postillon.store.operation import Steps, Tx, WriteOperation
from postillon.store.sqlite import SqliteStore, open_store

T = TypeVar("T")
MINUTE = 60_000
HOSTS = ("a.example", "b.example")
KEY = "a.example:25,b.example:25"
DOWN = Status("4.4.1", "no answer", host="a.example")
WAIT = Probing(MINUTE, 15 * MINUTE)


class Desk:
    """A store whose time is set by hand."""

    def __init__(self, store: SqliteStore, at: list[int]) -> None:
        self.store, self.at = store, at

    async def do(self, operation: WriteOperation[T]) -> T:
        return await self.store.write(operation)

    async def fail(self, worker: str) -> destinations.Destination:
        return await self.do(lambda tx: destinations.failed(tx, KEY, HOSTS, worker, DOWN, WAIT))

    async def take(self, worker: str) -> bool:
        return await self.do(lambda tx: destinations.take_probe(tx, KEY, worker, 5 * MINUTE))

    async def known(self) -> destinations.Destination | None:
        return await self.store.query(destinations.get(KEY))


@asynccontextmanager
async def desk(folder: Path) -> AsyncIterator[Desk]:
    at = [1_000_000]
    store = await open_store(folder, owner="w0", clock=lambda: at[0])
    try:
        yield Desk(store, at)
    finally:
        await store.close()


def test_one_worker_at_a_time_gets_the_probe_and_its_death_frees_it(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as here:
            row = await here.fail("w0")
            assert (row.down_since, row.next_at) == (here.at[0], here.at[0] + MINUTE)
            assert row.status == DOWN
            assert not await here.take("w0")  # not due
            here.at[0] += MINUTE
            assert await here.take("w0")
            assert not await here.take("w1")
            late = await here.fail("w1")  # was under way since before: says nothing new
            assert late.probed_by == "w0"
            here.at[0] += 5 * MINUTE  # w0 has died
            assert await here.take("w1")
            row = await here.fail("w1")
            assert row.probes == 2
            assert row.next_at == here.at[0] + 6 * MINUTE // 4

    asyncio.run(scene())


def test_an_answer_opens_it_for_two_at_once_and_only_a_change_is_written(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as here:
            assert not await here.do(lambda tx: destinations.answered(tx, KEY, 2))
            assert await here.known() is None  # a healthy destination has no row
            await here.fail("w0")
            assert await here.do(lambda tx: destinations.answered(tx, KEY, 2))
            row = await here.known()
            assert row is not None
            assert (row.down, row.concurrency, row.next_at) == (False, 2, here.at[0])
            await here.do(lambda tx: destinations.paced(tx, KEY, HOSTS, None))
            row = await here.known()
            assert row is not None
            await here.do(lambda tx: destinations.line_ended(tx, row))
            assert await here.known() is None

    asyncio.run(scene())


def test_what_is_held_is_looked_at_by_nobody_until_it_is_released(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as here:
            await here.fail("w0")
            await here.do(destinations.hold(KEY))
            here.at[0] += 60 * MINUTE
            assert await here.store.query(destinations.due(here.at[0], (0, ""), 10)) == []
            assert not await here.take("w0")
            assert not await here.do(destinations.probe_now(KEY))
            assert await here.do(destinations.release(KEY))
            [row] = await here.store.query(destinations.due(here.at[0], (0, ""), 10))
            assert row.key == KEY
            assert not await here.do(destinations.release(KEY))

    asyncio.run(scene())


def test_a_rate_is_one_account_for_all_workers(tmp_path: Path) -> None:
    async def scene() -> None:
        async with desk(tmp_path) as here:
            now = here.at[0]
            booked = [
                await here.do(lambda tx: destinations.pay(tx, KEY, HOSTS, 1_000, 10))
                for _ in range(3)
            ]
            assert booked == [now, now + 10_000, now + 20_000]
            here.at[0] += MINUTE
            start = await here.do(lambda tx: destinations.pay(tx, KEY, HOSTS, 1_000, 10))
            assert start == here.at[0]  # time that was not used is not saved up

    asyncio.run(scene())


def test_a_line_whose_row_was_lost_is_found_again_and_silent_rows_are_forgotten(
    tmp_path: Path,
) -> None:
    def lines(tx: Tx) -> Steps[None]:
        for n, key in enumerate(["x:25", "x:25", "y:25", "z:25"]):
            yield (
                "INSERT INTO queue_recipient (queue_id, n, forward_path, original, via,"
                " destination, state, due_at, waits_for) VALUES (?, 0, '', '', 'remote', '',"
                " 'waiting', ?, ?)",
                (n, FAR, key),
            )
        yield from destinations.lined_up(tx, "y:25", ("y",))

    async def scene() -> None:
        async with desk(tmp_path) as here:
            await here.do(lines)
            assert await here.do(destinations.mend) == 2
            assert [row.key for row in await here.store.query(destinations.every())] == [
                "x:25", "y:25", "z:25",
            ]  # fmt: skip
            assert await here.store.query(destinations.waiting("x:25")) == 2
            await here.do(lambda tx: destinations.paced(tx, "old:25", ("old",), 3))
            here.at[0] += destinations.KEPT + 1
            assert await here.do(destinations.mend) == 0
            assert [row.key for row in await here.store.query(destinations.every())] == [
                "x:25", "y:25", "z:25",
            ]  # fmt: skip
            page = await here.store.query(destinations.due(here.at[0], (0, ""), 2))
            assert [row.key for row in page] == ["x:25", "y:25"]
            after = (page[-1].next_at, page[-1].key)
            page = await here.store.query(destinations.due(here.at[0], after, 2))
            assert [row.key for row in page] == ["z:25"]

    asyncio.run(scene())
