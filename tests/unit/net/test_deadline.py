"""Alarms ring once, never early, at most a slot late, and only for their last setting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from postillon.net.deadline import GRANULARITY_S, Alarm, AlarmClock


class Loop:
    """Only what the clock uses of a loop, with a time that the test moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.timers: list[tuple[float, Callable[[], None], Any]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> Any:
        loop, entry = self, (when, callback, object())
        self.timers.append(entry)

        class Handle:
            def cancel(self) -> None:
                if entry in loop.timers:
                    loop.timers.remove(entry)

        return Handle()

    def advance(self, until: float) -> None:
        while due := [entry for entry in self.timers if entry[0] <= until]:
            entry = min(due, key=lambda item: item[0])
            self.timers.remove(entry)
            self.now = max(self.now, entry[0])
            entry[1]()
        self.now = until


def clock_of(loop: Loop) -> AlarmClock:
    stand_in: Any = loop
    assert not isinstance(stand_in, asyncio.AbstractEventLoop)
    return AlarmClock(stand_in)


steps = st.lists(
    st.tuples(
        st.integers(0, 4), st.floats(0, 2000, allow_nan=False), st.floats(0, 700, allow_nan=False)
    ),
    max_size=30,
)


@given(steps)
def test_every_alarm_rings_once_for_its_last_setting(moves: list[tuple[int, float, float]]) -> None:
    loop = Loop()
    clock = clock_of(loop)
    rung: list[tuple[int, float]] = []
    expected: dict[int, float] = {}
    alarms = [Alarm(lambda n=n: ring(n)) for n in range(5)]  # type: ignore[misc]

    def ring(n: int) -> None:
        rung.append((n, loop.now))
        due = expected.pop(n)
        assert due <= loop.now <= due + GRANULARITY_S + 1e-6

    for number, delay, wait in moves:
        clock.set(alarms[number], delay)
        expected[number] = loop.now + delay
        loop.advance(loop.now + wait)
    loop.advance(loop.now + 4000)
    assert expected == {}
    assert loop.timers == []


def test_a_forgotten_alarm_is_held_by_nothing() -> None:
    loop = Loop()
    clock = clock_of(loop)
    alarm = Alarm(lambda: (_ for _ in ()).throw(AssertionError("rang")))
    clock.set(alarm, 1800)
    clock.forget(alarm)
    assert not any(clock._slots.values())
    loop.advance(loop.now + 4000)
