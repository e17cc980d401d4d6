"""Which recipients each condition of a selection finds, and how they are counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import pytest_asyncio

from postillon.mail.outcome import Status, reply
from postillon.queue import selection
from postillon.queue.ids import new_queue_id
from postillon.queue.rows import FAR, MESSAGE_COLUMNS, status_text
from postillon.queue.selection import FIRST, BadSelection, Count, Selection, Standing
from postillon.store.operation import Steps, Tx
from support.stores import open_test_store

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

NOW = 1_795_000_000_000
HOUR = 3_600_000
IDS = [new_queue_id(NOW - n * HOUR) for n in (5, 4, 3, 2, 1)]
GREY = Status(
    "4.7.1", "refused", reply(450, "4.7.1", 'Greylisted 100% "here"', "come_back"), "mx.a"
)
FULL = Status("4.2.2", "the mailbox is full", None, "mx.b")

# id: reverse-path, octets, held, [forward-path, destination, state, due, waits for, status]
MESSAGES: dict[int, tuple[str | None, int, int, list[tuple[Any, ...]]]] = {
    IDS[0]: ("ada@example.org", 100, 0, [
        ("x@far.example", "far.example", "waiting", NOW, None, GREY),
        ("Y@Near.example", "near.example", "claimed", NOW, None, None),
    ]),
    IDS[1]: ("Bob@example.net", 2_000, 0, [
        ("z@far.example", "far.example", "waiting", NOW, "k1", FULL),
    ]),
    IDS[2]: (None, 300, 1, [("x@far.example", "smtp://192.0.2.1:25", "waiting", FAR, None, FULL)]),
    IDS[3]: ("ada@example.org", 400, 2, [
        ("q@nofar.example", "nofar.example", "waiting", FAR, None, None),
    ]),
    IDS[4]: ("eve@sub.example.org", 500, 0, [
        ("w@host.example", "host.example", "failed", NOW, None, GREY),
    ]),
}  # fmt: skip


def fill(tx: Tx) -> Steps[None]:
    for queue_id, (sender, size, held, recipients) in MESSAGES.items():
        at = NOW - (5 - IDS.index(queue_id)) * HOUR  # type: ignore[arg-type] # an int all the same
        yield (
            f"INSERT INTO queue_message ({MESSAGE_COLUMNS}) VALUES (?{',?' * 21})",
            (queue_id, 1, 0, size, b"", b"", sender, None, 0, "7BIT", 0, None, "", 1, at,
             at + 120 * HOUR, held, 0, None, 0, None, ""),
        )  # fmt: skip
        for n, (path, destination, state, due, line, status) in enumerate(recipients):
            yield (
                "INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination,"
                " state, due_at, waits_for, status) VALUES (?,?,?,'','remote',?,?,?,?,?)",
                (queue_id, n, path, destination, state, due, line, status_text(status)),
            )


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[AnyStore]:
    opened = await open_test_store(tmp_path, owner="cli", clock=lambda: NOW)
    await opened.write(fill)
    yield opened
    await opened.close()


# Conditions, and the recipients they find: index of the message, number of the recipient.
FOUND: list[tuple[dict[str, Any], str]] = [
    ({}, "00 01 10 20 30 40"),
    ({"ids": (IDS[1], IDS[3])}, "10 30"),
    ({"sender": "ADA@example.org"}, "00 01 30"),
    ({"sender": "bob@example.net"}, "10"),
    ({"sender": "example.org"}, "00 01 30"),
    ({"sender": "<>"}, "20"),
    ({"recipient": "y@near.example"}, "01"),
    ({"recipient": "@far.example"}, "00 10 20"),
    ({"domain": "far.example"}, "00 10 20"),
    ({"domain": "f_r.example"}, ""),
    ({"destinations": ("far.example",)}, "00 10"),
    ({"destinations": ("k1",)}, "10"),
    ({"destinations": ("smtp://192.0.2.1:25", "near.example")}, "01 20"),
    ({"elsewhere": "far.example"}, "01 20 30 40"),
    ({"about": "far.example"}, "00 10 20"),
    ({"about": "bob@example.net"}, "10"),
    ({"about": "smtp://192.0.2.1:25"}, "20"),
    ({"older": 3 * HOUR}, "00 01 10 20"),
    ({"younger": 3 * HOUR}, "20 30 40"),
    ({"larger": 400}, "10 30 40"),
    ({"smaller": 300}, "00 01 20"),
    ({"standing": Standing.WAITING}, "00"),
    ({"standing": Standing.IN_LINE}, "10"),
    ({"standing": Standing.IN_HAND}, "01"),
    ({"standing": Standing.HELD}, "20"),
    ({"standing": Standing.ISOLATED}, "30"),
    ({"standing": Standing.ENDED}, "40"),
    ({"status": "4.7.1"}, "00 40"),
    ({"status": "4.2"}, "10 20"),
    ({"status": "4"}, "00 10 20 40"),
    ({"status": "450"}, "00 40"),
    ({"status": "45"}, ""),
    ({"text": "GREYLISTED 100%"}, "00 40"),
    ({"text": '"here"'}, "00 40"),
    ({"text": "come_back"}, "00 40"),
    ({"text": "comexback"}, ""),
    ({"text": "remote"}, ""),
    ({"text": "host"}, ""),
    ({"text": "null"}, ""),
    ({"text": "full"}, "10 20"),
    ({"domain": "far.example", "status": "4.2.2", "older": 4 * HOUR}, "10"),
    ({"at": NOW - 3 * HOUR}, "00 01 10 20"),
]


async def test_each_condition_finds_those_that_are_meant(store: AnyStore) -> None:
    wrong = {}
    for conditions, expected in FOUND:
        meant = Selection(**{"at": NOW, **conditions})
        keys = await store.query(selection.keys(meant, FIRST, 100))
        found = " ".join(f"{IDS.index(queue_id)}{n}" for queue_id, n in keys)
        if found != expected:
            wrong[str(conditions)] = found
    assert wrong == {}


@pytest.mark.parametrize(
    "conditions", [{"text": '", "'}, {"status": "4.x"}, {"status": "many"}, {"text": " "}]
)
def test_a_condition_that_means_nothing_is_refused(conditions: dict[str, str]) -> None:
    with pytest.raises(BadSelection):
        Selection(**conditions)  # type: ignore[arg-type]


async def test_pages_add_up_to_the_whole(store: AnyStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(selection, "PAGE", 2)
    meant, after, pages, total = Selection(at=NOW), 0, 0, Count()
    while (end := await store.query(selection.page_end(meant, after))) is not None:
        total += await store.query(selection.count(meant, after, end, "r.state = 'waiting'"))
        after, pages = end, pages + 1
    assert pages == 3
    assert total == Count(
        acted=4, messages=4, reports=3, octets=2_800, in_hand=1, in_line=1, held=2, free=2,
        oldest=NOW - 5 * HOUR,
    )  # fmt: skip


async def test_a_walk_goes_on_within_a_message(store: AnyStore) -> None:
    after, found = FIRST, []
    while some := await store.query(selection.keys(Selection(at=NOW), after, 1)):
        found += some
        after = some[-1]
    assert len(found) == 6


async def test_who_would_be_told_is_counted_by_message(store: AnyStore) -> None:
    meant = Selection(at=NOW)
    told = await store.query(
        selection.senders(meant, 0, meant.last, 10, "r.state IN ('waiting', 'claimed')")
    )
    assert sorted(told) == [("Bob@example.net", 1), ("ada@example.org", 2)]
