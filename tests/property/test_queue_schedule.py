"""When it is tried again: what holds for every age, chance and hint (docs/queue.md)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postillon.queue.circuit import Circuits
from postillon.queue.config import QueueConfig
from postillon.queue.ids import (
    EPOCH,
    RANDOM_BITS,
    accepted_at,
    format_queue_id,
    new_queue_id,
    parse_queue_id,
)
from postillon.queue.schedule import LONGEST_HINT, SHORTEST_HINT, Schedule

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
START = 1_800_000_000_000
SCHEDULE = Schedule.of(QueueConfig())

chances = st.floats(0, 1, exclude_max=True)
ages = st.integers(0, 5 * DAY - 1)


@given(age=ages, chance=chances, hint=st.none() | st.integers(-DAY, 30 * DAY))
def test_a_try_follows_within_the_bounds_and_never_passes_a_mark(
    age: int, chance: float, hint: int | None
) -> None:
    now, expires = START + age, START + 5 * DAY
    due = SCHEDULE.next_try(START, expires, now, chance, hint)
    assert now < due <= expires
    marks = [START + 4 * HOUR, START + DAY, expires]
    assert not any(now < mark < due for mark in marks)
    wait = due - now
    if due in marks:
        return
    if hint is None:
        assert 0.85 * 3 * MINUTE - 1 <= wait <= 1.15 * 2 * HOUR + 1
    else:
        assert SHORTEST_HINT <= wait <= 1.15 * LONGEST_HINT + 1
        assert wait >= min(hint, LONGEST_HINT)


@given(chances)
def test_five_days_are_about_seventy_three_tries_and_the_first_hour_nine(chance: float) -> None:
    now, tries = START, [START]
    while now < START + 5 * DAY:
        now = SCHEDULE.next_try(START, START + 5 * DAY, now, chance)
        tries.append(now)
    assert {START + 4 * HOUR, START + DAY, START + 5 * DAY} <= set(tries)
    assert 7 <= sum(at <= START + HOUR for at in tries) <= 12
    assert 60 <= len(tries) <= 90


@given(st.lists(st.tuples(st.integers(1, 6 * HOUR), chances), min_size=1, max_size=60))
def test_one_probe_at_a_time_while_a_destination_is_down(steps: list[tuple[int, float]]) -> None:
    circuits = Circuits(MINUTE, 15 * MINUTE, 20)
    now = START
    assert circuits.allows("down.example", now)
    probe_at = circuits.failed("down.example", now, 0.5)
    for wait, chance in steps:
        now += wait
        allowed = circuits.allows("down.example", now)
        assert allowed == (now >= probe_at)
        if allowed:
            assert not circuits.allows("down.example", now)  # the probe is out
            probe_at = circuits.failed("down.example", now, chance)
            assert 0.85 * MINUTE - 1 <= probe_at - now <= 1.15 * 15 * MINUTE + 1
    assert circuits.answered("down.example")
    assert circuits.open_until("down.example") is None
    assert circuits.concurrency("down.example") == 2
    for _ in range(5):
        circuits.answered("down.example")
    assert circuits.concurrency("down.example") == 20


@given(st.integers(EPOCH, EPOCH + (1 << 41)), st.integers(1, 1 << 30))
def test_queue_ids_sort_by_time_and_survive_a_person(now: int, later: int) -> None:
    first, second = new_queue_id(now), new_queue_id(now + later)
    assert first < second
    assert format_queue_id(first) < format_queue_id(second)
    assert accepted_at(first) == now
    assert first >> RANDOM_BITS == now - EPOCH
    shown = format_queue_id(first)
    misread = shown.upper().replace("0", "O").replace("1", "l")
    assert parse_queue_id(f" {misread[:6]}-{misread[6:]} ") == first
