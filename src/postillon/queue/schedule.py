"""When a deferred recipient is tried again: a pure function of its age (DESIGN section 3).

Wait = 1/3 of the age between 3 minutes and 2 hours, within 15 % at random: nine tries in the first
hour, some 73 in five days. A try is always made exactly at the marks (delay notices, end of the
lifetime), so that what a report tells has just been seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from postillon.queue.config import QueueConfig

FRACTION = 3  # of the age
JITTER = 0.15
SHORTEST_HINT = 30_000  # ms; whatever the other side says
LONGEST_HINT = 4 * 3_600_000  # ms


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rules in milliseconds. `marks` are the ages of the delay notices, ascending."""

    shortest: int
    longest: int
    marks: tuple[int, int]

    @classmethod
    def of(cls, config: QueueConfig) -> Schedule:
        return cls(
            milliseconds(config.shortest_wait),
            milliseconds(config.longest_wait),
            (milliseconds(config.first_notice), milliseconds(config.second_notice)),
        )

    def next_try(
        self, accepted_at: int, expires_at: int, now: int, chance: float, hint: int | None = None
    ) -> int:
        """When to try next after a deferral at `now` (all ms).

        chance: in [0, 1), where in the 15 % the wait lies. hint: the other side's wish in ms.
        Returns a time after `now`, at most `expires_at` where that is still ahead.
        """
        if hint is not None:
            wait = min(max(hint, SHORTEST_HINT), LONGEST_HINT)
            wait += round(wait * JITTER * chance)  # never earlier than the host asked
        else:
            base = min(max((now - accepted_at) // FRACTION, self.shortest), self.longest)
            wait = round(base * (1 + JITTER * (2 * chance - 1)))
        return self.not_past_a_mark(accepted_at, expires_at, now, now + wait)

    def not_past_a_mark(self, accepted_at: int, expires_at: int, now: int, due: int) -> int:
        """`due`, or the first mark that lies between `now` and it."""
        for mark in (*(accepted_at + age for age in self.marks), expires_at):
            if now < mark < due:
                return mark
        return due

    def marks_passed(self, accepted_at: int, now: int) -> int:
        """How many delay notices a recipient that is still waiting at `now` should have had."""
        return sum(now >= accepted_at + age for age in self.marks)
