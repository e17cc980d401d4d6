"""When it is tried again: what holds for every age, chance and hint (docs/queue.md)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from postillon.queue.circuit import Circuits, Probing
from postillon.queue.config import QueueConfig
from postillon.queue.ids import (
    EPOCH,
    RANDOM_BITS,
    accepted_at,
    format_queue_id,
    new_queue_id,
    parse_queue_id,
)
from postillon.queue.reason import Reason
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
        assert SHORTEST_HINT <= wait <= LONGEST_HINT
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


@given(st.integers(0, 5 * DAY), chances)
def test_probes_follow_the_downtime_within_their_bounds(downtime: int, chance: float) -> None:
    wait = Probing(MINUTE, 15 * MINUTE).at(chance).after(downtime)
    assert 0.85 * MINUTE - 1 <= wait <= 1.15 * 15 * MINUTE + 1
    assert Probing(MINUTE, 15 * MINUTE).after(20 * MINUTE) == 5 * MINUTE


@given(st.integers(1, 40), st.lists(st.booleans(), max_size=300))
def test_a_pace_keeps_its_bounds_whatever_is_answered(ceiling: int, answers: list[bool]) -> None:
    circuits = Circuits(5)
    pace = circuits.pace("a:25", ceiling)
    assert pace.places == min(5, ceiling)
    for now, good in enumerate(answers):
        before = pace.places
        if good:
            pace.answered(now)
            assert before <= pace.places <= before + 1
        else:
            assert pace.refused(now, now)
            assert pace.places == max(1, before // 2)
            assert not pace.refused(now, now - 1)  # was under way: one burst, one step
        assert 1 <= pace.places <= ceiling


def test_a_destination_that_is_back_gets_two_then_four_then_eight() -> None:
    pace = Circuits(5).pace("a:25", 20)
    pace.restart()
    rounds = []
    for _ in range(5):
        rounds.append(pace.places)
        for _ in range(rounds[-1]):
            pace.answered(START)
    assert rounds == [2, 4, 8, 16, 20]


@given(hint=st.none(), age=ages, chance=chances, reason=st.sampled_from(Reason))
def test_each_reason_has_its_least_wait_and_none_is_over_four_hours(
    hint: None, age: int, chance: float, reason: Reason
) -> None:
    now, expires = START + age, START + 5 * DAY
    due = SCHEDULE.next_try(START, expires, now, chance, hint, reason)
    least = {Reason.GREYLISTED: 5, Reason.POLICY: 15, Reason.FULL: 30, Reason.OTHER: 3}[reason]
    marks = [START + 4 * HOUR, START + DAY, expires]
    assert now < due <= now + LONGEST_HINT
    assert due in marks or due - now >= 0.85 * least * MINUTE - 1


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
