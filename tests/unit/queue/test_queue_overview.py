"""What the overview counts, and that no count of the watch reads the queue's rows themselves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from postillon.queue import overview, watching
from postillon.queue.alerts import AlertConfig
from postillon.queue.rows import FAR, Lane
from postillon.queue.selection import FIRST, Selection
from postillon.store.operation import Steps, T, Tx
from postillon.store.sqlite import SqliteStore, open_store
from support.backlog import DAY, fill

NOW = int(time.time()) * 1000
MESSAGES = 40


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """Forty messages of five days for big.example and for d0 to d3, the first ten of them in a line."""
    opened = await open_store(tmp_path, owner="cli")
    fill(tmp_path, MESSAGES, now=NOW, destinations=4, each=2)

    def change(tx: Tx) -> Steps[None]:
        yield (
            "INSERT INTO queue_destination (key, hosts, down_since, next_at, updated_at)"
            " VALUES ('mx.big.example:25', 'mx.big.example', ?, ?, ?),"
            " ('idle.example:25', 'idle.example', ?, ?, ?)",
            (NOW - DAY, NOW, NOW, NOW - DAY, NOW, NOW),
        )
        yield (
            "UPDATE queue_recipient SET waits_for = 'mx.big.example:25' WHERE destination ="
            " 'big.example' AND queue_id IN (SELECT queue_id FROM queue_message ORDER BY queue_id"
            " LIMIT 10)",
            (),
        )
        yield (
            "UPDATE queue_recipient SET due_at = ? WHERE destination = 'd3.example'",
            (FAR,),
        )

    await opened.write(change)
    yield opened
    await opened.close()


async def test_depth_counts_recipients_by_what_they_wait_for(store: SqliteStore) -> None:
    depth = await store.query(overview.depth(NOW))
    assert (depth.messages, depth.waiting, depth.held, depth.in_line) == (40, 70, 10, 10)
    assert (depth.in_hand, depth.owed, depth.isolated) == (0, 0, 0)
    assert depth.lanes[Lane.BULK].recipients == 0
    assert depth.oldest == NOW - 5 * DAY
    assert await store.query(overview.waited_longer(5 * DAY, NOW)) == 2
    assert await store.query(overview.waited_longer(0, NOW)) == 70


async def test_destinations_are_tallied_by_the_line_or_the_name_they_wait_for(
    store: SqliteStore,
) -> None:
    found = {item.name: item for item in await store.query(overview.tally(0, 1 << 62))}
    assert {name: item.recipients for name, item in found.items()} == {
        "mx.big.example:25": 10, "big.example": 30, "d0.example": 10, "d1.example": 10,
        "d2.example": 10, "d3.example": 10,
    }  # fmt: skip
    assert found["d3.example"].next_due == found["mx.big.example:25"].next_due == FAR
    [queue] = await store.query(overview.described([found["mx.big.example:25"]]))
    assert (queue.messages, queue.oldest, queue.domains) == (10, NOW - 5 * DAY, ("big.example",))
    others = await store.query(overview.troubled(found, 10))
    assert [item.name for item in others] == ["idle.example:25"]


@pytest.mark.parametrize("name", ["big.example", "mx.big.example", "mx.big.example:25"])
async def test_a_destination_is_known_by_its_key_its_servers_and_its_domains(
    store: SqliteStore, name: str
) -> None:
    assert await store.query(overview.keys_of(name)) == ("mx.big.example:25",)


async def test_a_list_is_bounded_and_goes_on_where_it_ended(store: SqliteStore) -> None:
    listed = await store.query(overview.listing(Selection(domain="big.example"), FIRST, 5))
    assert [len(item.recipients) for item in listed] == [1] * 5
    assert [item.lines[item.recipients[0].n].key for item in listed] == ["mx.big.example:25"] * 5


def explained(steps: Steps[T]) -> Steps[list[str]]:
    """How SQLite runs each statement of a read."""
    found: list[str] = []
    try:
        sql, arguments = steps.send(None)
        while True:
            plan = yield f"EXPLAIN QUERY PLAN {sql}", arguments
            found += [str(row[3]) for row in plan]
            rows = yield sql, arguments
            sql, arguments = steps.send(rows)
    except StopIteration:
        return found


async def test_the_watch_reads_indexes_and_never_all_rows(store: SqliteStore) -> None:
    found = await store.query(explained(watching.look(AlertConfig(), NOW)))
    assert len(found) > 10
    tables = ("SCAN queue_recipient", "SCAN queue_message")
    scans = [plan for plan in found if plan.startswith(tables) and "INDEX" not in plan]
    assert scans == []
