"""A coarse alarm clock for many waits: one timer for a whole loop, none per read.

Ten thousand idle sessions wait half an hour for their next command and nearly none of these waits
ends in time. So an alarm that is set again and again stays where it lies; only when its slot comes up
is it looked at, and moved on if its time is not up yet. Setting one costs two comparisons.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

GRANULARITY_S = 0.25  # an alarm goes off at most this much late, and never early
NEVER = math.inf


class Alarm:
    """One wait at a time: `ring` is called once when it is over."""

    __slots__ = ("at", "ring", "slot")

    def __init__(self, ring: Callable[[], None]) -> None:
        self.at = NEVER  # in the loop's time
        self.slot = 0  # where the clock keeps it; 0: nowhere
        self.ring = ring


class AlarmClock:
    """The alarms of one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = loop.time
        self._slots: dict[int, set[Alarm]] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._timer_slot = 0

    def set(self, alarm: Alarm, seconds: float) -> None:
        """Let the alarm ring in `seconds`, whatever it was set to before."""
        alarm.at = at = self._now() + seconds
        slot = alarm.slot
        if slot and slot * GRANULARITY_S <= at:
            return
        self.forget(alarm)
        alarm.at = at
        self._put(alarm)

    def forget(self, alarm: Alarm) -> None:
        """Take the alarm out, so that nothing holds its owner any more."""
        alarm.at = NEVER
        if alarm.slot and (lying := self._slots.get(alarm.slot)) is not None:
            lying.discard(alarm)
        alarm.slot = 0

    def _put(self, alarm: Alarm) -> None:
        slot = alarm.slot = max(1, math.ceil(alarm.at / GRANULARITY_S))
        lying = self._slots.get(slot)
        if lying is None:
            lying = self._slots[slot] = set()
        lying.add(alarm)
        if self._timer is None or slot < self._timer_slot:
            self._arm(slot)

    def _arm(self, slot: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_slot = slot
        self._timer = self._loop.call_at(slot * GRANULARITY_S, self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._now()
        for slot in sorted(slot for slot in self._slots if slot <= self._timer_slot):
            for alarm in self._slots.pop(slot):
                alarm.slot = 0
                if alarm.at <= now:
                    alarm.at = NEVER
                    alarm.ring()
                elif alarm.at != NEVER:
                    self._put(alarm)
        if self._slots:
            first = min(self._slots)
            if self._timer is None or first < self._timer_slot:
                self._arm(first)


_clocks: WeakKeyDictionary[asyncio.AbstractEventLoop, AlarmClock] = WeakKeyDictionary()


def alarm_clock(loop: asyncio.AbstractEventLoop) -> AlarmClock:
    """The one clock of this loop."""
    clock = _clocks.get(loop)
    if clock is None:
        clock = _clocks[loop] = AlarmClock(loop)
    return clock
