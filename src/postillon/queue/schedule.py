"""When a deferred recipient is tried again: a pure function of its age (DESIGN section 3).

Wait = 1/3 of the age between 3 minutes and 2 hours, within 15 % at random: nine tries in the first
hour, some 73 in five days. A try is always made exactly at the marks (delay notices, end of the
lifetime), so that what a report tells has just been seen. What the other side says of itself moves
the bounds: a time it names is kept between 30 s and 4 h, greylisting, policy and full mailboxes have
a least wait of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from postillon.queue.config import QueueConfig
from postillon.queue.reason import Reason
from postillon.queue.rows import FAR

FRACTION = 3  # of the age
JITTER = 0.15
SHORTEST_HINT = 30_000  # ms; whatever the other side says
LONGEST_HINT = 4 * 3_600_000  # ms
FURTHEST = LONGEST_HINT + 3_600_000  # ms; whatever waits for a time of its own is due before that


def believable(at: int, now: int) -> bool:
    """Whether we can wait for a time: beyond FURTHEST only the clock before it was set back could.

    FAR means "not by itself".
    """
    return at >= FAR or at <= now + FURTHEST


def milliseconds(duration: timedelta) -> int:
    return duration // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The rules in milliseconds. `marks` are the ages of the delay notices, ascending.

    `least` has the waits of reasons that need more than `shortest`.
    """

    shortest: int
    longest: int
    marks: tuple[int, int]
    least: Mapping[Reason, int] = field(default_factory=dict)

    @classmethod
    def of(cls, config: QueueConfig) -> Schedule:
        return cls(
            milliseconds(config.shortest_wait),
            milliseconds(config.longest_wait),
            (milliseconds(config.first_notice), milliseconds(config.second_notice)),
            {
                Reason.GREYLISTED: milliseconds(config.greylisted_wait),
                Reason.POLICY: milliseconds(config.policy_wait),
                Reason.FULL: milliseconds(config.full_wait),
            },
        )

    def noticing(self, starts_at: int, notice_at: int | None) -> Schedule:
        """With the first notice at a time (ms) that the sender has chosen; None: at the usual one."""
        if notice_at is None:
            return self
        age = notice_at - starts_at
        return replace(self, marks=(age, max(age, self.marks[1])))

    def next_try(
        self,
        accepted_at: int,
        expires_at: int,
        now: int,
        chance: float,
        hint: int | None = None,
        reason: Reason = Reason.OTHER,
    ) -> int:
        """When to try next after a deferral at `now` (all ms).

        chance: in [0, 1), where in the 15 % the wait lies. hint: the other side's wish in ms.
        Returns a time after `now`, at most `expires_at` where that is still ahead.
        """
        if hint is not None:
            wait = min(max(hint, SHORTEST_HINT), LONGEST_HINT)
            wait += round(wait * JITTER * chance)  # never earlier than the host asked
        else:
            least = min(max(self.least.get(reason, 0), self.shortest), LONGEST_HINT)
            # A full mailbox is emptied by its owner, not by our asking: up to 4 hours.
            longest = LONGEST_HINT if reason is Reason.FULL else self.longest
            base = min(max((now - accepted_at) // FRACTION, least), max(longest, least))
            if reason is Reason.GREYLISTED and base == least:
                wait = round(base * (1 + JITTER * chance))  # one second too early costs a round
            else:
                wait = round(base * (1 + JITTER * (2 * chance - 1)))
        wait = min(wait, LONGEST_HINT)
        return self.not_past_a_mark(accepted_at, expires_at, now, now + wait)

    def not_past_a_mark(self, accepted_at: int, expires_at: int, now: int, due: int) -> int:
        """`due`, or the first mark that lies between `now` and it."""
        return min(due, self.next_mark(accepted_at, expires_at, now) or due)

    def next_mark(self, accepted_at: int, expires_at: int, now: int) -> int | None:
        """The next notice or the end of the lifetime; None when all have passed."""
        ends = (*(accepted_at + age for age in self.marks), expires_at)
        return min((mark for mark in ends if now < mark <= expires_at), default=None)

    def marks_passed(self, accepted_at: int, now: int) -> int:
        """How many delay notices a recipient that is still waiting at `now` should have had."""
        return sum(now >= accepted_at + age for age in self.marks)
