"""When an administrator is told, and that it is once: the rules, and the rows that remember."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from postillon.queue import watching
from postillon.queue.alerts import (
    LEARN,
    SAMPLES,
    SINGLE,
    Alert,
    AlertConfig,
    DownFigure,
    Figures,
    Kind,
    Memory,
    judge,
    remember,
)
from postillon.queue.watching import Turn
from postillon.setting import ConfigError
from support.stores import open_test_store

NOW = 1_795_000_000_000
HOUR = 3_600_000
CALM = Figures(NOW, 0, 0, None, (), 0, (), 0, "here", 50, 100)
CONFIG = AlertConfig()


def kinds(figures: Figures, memory: Memory = Memory(), active: Any = ()) -> list[Kind]:  # noqa: B008
    return [alert.kind for alert in judge(figures, memory, CONFIG, active)]


def test_a_calm_queue_has_no_alert() -> None:
    assert kinds(CALM) == []


@pytest.mark.parametrize(
    ("kind", "above", "band", "below"),
    [
        (Kind.LONG, {"waiting": 10_001}, {"waiting": 8_100}, {"waiting": 7_900}),
        (Kind.DISK, {"disk_free": 9}, {"disk_free": 12}, {"disk_free": 13}),
    ],
)
def test_an_alert_ends_only_well_below_its_limit(
    kind: Kind, above: dict[str, int], band: dict[str, int], below: dict[str, int]
) -> None:
    subject = "here" if kind is Kind.DISK else ""
    assert kinds(replace(CALM, **above)) == [kind]
    assert kinds(replace(CALM, **band)) == []
    assert kinds(replace(CALM, **band), active={(kind, subject)}) == [kind]
    assert kinds(replace(CALM, **below), active={(kind, subject)}) == []


def test_each_destination_has_its_alert_until_there_are_too_many() -> None:
    down = tuple(
        DownFigure(f"d{n}.example:25", f"d{n}.example", NOW - HOUR, 5, "421 gone")
        for n in range(12)
    )
    few = judge(replace(CALM, down=down[:2], down_number=2), Memory(), CONFIG, ())
    assert [alert.subject for alert in few] == ["d0.example:25", "d1.example:25"]
    assert few[0].words == (
        'd0.example has not answered for 60 minutes; 5 recipients wait; it said: "421 gone"'
    )
    assert "postillon queue retry --destination 'd0.example:25'" in few[0].remedy
    many = judge(replace(CALM, down=down, down_number=400), Memory(), CONFIG, ())
    assert [alert.kind for alert in many] == [Kind.DOWN] * SINGLE + [Kind.MANY_DOWN]


def test_an_isolated_message_is_told_with_its_id() -> None:
    [alert] = judge(replace(CALM, isolated=("0abc",), isolated_number=1), Memory(), CONFIG, ())
    assert (alert.kind, alert.subject) == (Kind.ISOLATED, "0abc")
    assert "postillon queue show 0abc" in alert.remedy


def grown(numbers: list[int], config: AlertConfig = CONFIG) -> Memory:
    memory = Memory()
    for n, number in enumerate(numbers):
        memory = remember(memory, replace(CALM, at=NOW + n * 600_000, waiting=number), config)
    return memory


@pytest.mark.parametrize(
    ("numbers", "told"),
    [
        ([0, 100, 200, 300, 400, 500, 600], True),
        ([0, 100, 200, 300, 250, 500, 600], False),  # a pause
        ([0, 10, 20, 30, 40, 50, 60], False),  # too little
        ([0, 200, 400, 600], False),  # too short
    ],
)
def test_a_queue_that_grows_without_a_pause_is_told(numbers: list[int], told: bool) -> None:
    assert (kinds(CALM, grown(numbers)) == [Kind.GROWS]) is told


def test_growth_ends_with_the_first_look_that_finds_none() -> None:
    active = {(Kind.GROWS, "")}
    rising = grown([0, 100, 200, 300, 400, 500, 600, 601])
    assert kinds(CALM, rising, active) == [Kind.GROWS]
    assert kinds(CALM, grown([0, 100, 200, 300, 400, 500, 600, 600]), active) == []


def test_what_is_usual_is_learned_and_more_than_that_is_told() -> None:
    memory = Memory()
    for n in range(LEARN // 600_000 + 2):
        memory = remember(memory, replace(CALM, at=NOW + n * 600_000, late=100), CONFIG)
        assert kinds(replace(CALM, late=40), memory) == []
    assert memory.usual == pytest.approx(100)
    assert kinds(replace(CALM, late=290), memory) == []
    assert kinds(replace(CALM, late=310), memory) == [Kind.LATE]
    assert kinds(replace(CALM, late=310), Memory(usual=100, learned=LEARN // 2)) == []


def test_the_oldest_mail_may_have_a_limit_of_its_own() -> None:
    config = AlertConfig(oldest=timedelta(hours=4))
    old = replace(CALM, oldest=NOW - 5 * HOUR)
    assert [alert.kind for alert in judge(old, Memory(), config, ())] == [Kind.OLD]
    assert kinds(old) == []


def test_memory_has_a_bound_and_begins_anew_after_a_gap() -> None:
    memory = grown(list(range(50)))
    assert len(memory.samples) == SAMPLES + 1
    last = memory.samples[-1][0]
    same = remember(memory, replace(CALM, at=last + 1_000), CONFIG)
    assert same is memory
    for at in (last + 5 * HOUR, last - 5 * HOUR):
        assert remember(memory, replace(CALM, at=at), CONFIG).samples == ((at, 0),)


@pytest.mark.parametrize(
    "wrong",
    [{"waiting": -1}, {"mail_to": ("nobody",)}, {"late": timedelta()}, {"disk_free": 101.0}],
)
def test_limits_that_mean_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        AlertConfig(**wrong)


def disk(machine: str) -> Alert:
    return Alert(Kind.DISK, machine, "full", "make room")


async def test_an_alert_begins_once_and_ends_once_whoever_watches(tmp_path: Path) -> None:
    clock = [NOW]
    store = await open_test_store(tmp_path, owner="w0", clock=lambda: clock[0])
    long = Alert(Kind.LONG, "", "many", "look")

    async def told(*found: Alert, machine: str = "here") -> Turn:
        known = await store.query(watching.alerts())
        if not watching.changes(known, found, machine):
            return Turn()
        clock[0] += 60_000
        return await store.write(watching.turn(found, machine, mail=True))

    first = await told(long, disk("here"))
    assert [item.alert for item in first.begun] == [long, disk("here")]
    assert [item.alert for item in first.to_mail] == [long, disk("here")]
    assert await told(long, disk("here")) == Turn()
    assert await told(long, machine="there") == Turn()  # it knows nothing of our disk
    ended = await told(long)
    assert [(item.alert.kind, item.ended_at) for item in ended.ended] == [(Kind.DISK, clock[0])]
    again = await told(long, disk("here"))
    assert (len(again.begun), again.to_mail) == (1, ())  # one mail a day
    await told(long)
    clock[0] += 25 * HOUR
    later = await told(long, disk("here"))
    assert [item.alert for item in later.to_mail] == [disk("here")]
    await store.close()


async def test_memory_is_kept_and_what_cannot_be_read_begins_anew(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")
    assert await store.query(watching.recall()) == Memory()
    memory = Memory(((NOW, 5),), 1.5, 7)
    await store.write(watching.keep(memory))
    assert await store.query(watching.recall()) == memory
    await store.close()


async def test_a_look_finds_what_is_down_and_isolated(tmp_path: Path) -> None:
    store = await open_test_store(tmp_path, owner="w0")

    def fill(tx: Any) -> Any:
        for key, since, held in (
            ("k1", NOW - 2 * HOUR, 0),
            ("k2", NOW - 60, 0),
            ("k3", NOW - 2 * HOUR, 1),
        ):
            yield (
                "INSERT INTO queue_destination (key, hosts, down_since, next_at, held, updated_at)"
                " VALUES (?, ?, ?, ?, ?, ?)",
                (key, key, since, NOW, held, NOW),
            )
            yield (
                "INSERT INTO queue_recipient (queue_id, n, forward_path, original, via, destination,"
                " state, due_at, waits_for) VALUES (?, 0, 'x@far.example', '', 'remote',"
                " 'far.example', 'waiting', ?, ?)",
                (int(key[1]), NOW, key),
            )

    await store.write(fill)
    figures, depth = await store.read_apart(watching.look(CONFIG, NOW))
    assert [(item.key, item.name, item.recipients) for item in figures.down] == [
        ("k1", "far.example", 1)
    ]
    assert (figures.down_number, figures.waiting, depth.in_line, figures.late) == (1, 3, 3, 3)
    assert await store.query(watching.down_number()) == 3
    await store.close()
