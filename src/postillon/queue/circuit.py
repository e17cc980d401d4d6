"""What one worker keeps in mind of destinations: who is down, and how many deliveries each bears.

Down or not is decided in the rows that all workers share (`destinations`); here is the arithmetic of
it (`Probing`), the pace of each destination (`Pace`), and a bounded memory of both, so that mail for a
destination that is down need not ask the database. Nothing here is lost by a crash: it is learnt anew.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace

from postillon.queue.schedule import believable

FRACTION = 4  # of the downtime
JITTER = 0.15
MAX_KNOWN = 10_000  # destinations remembered; the one unused longest is forgotten first
SLOW_START = 2  # deliveries at once when a destination has just come back
FRESH = 60_000  # ms after an answer in which a failure is taken for "too many at once"


@dataclass(frozen=True, slots=True)
class Probing:
    """How long to wait between probes of a destination that is down (ms), and the chance in it."""

    shortest: int
    longest: int
    chance: float = 0.5  # in [0, 1): where in the 15 % the wait lies

    def at(self, chance: float) -> Probing:
        return replace(self, chance=chance)

    def after(self, downtime: int) -> int:
        """The wait when a probe has just failed so many ms after the first failure."""
        wait = min(max(downtime // FRACTION, self.shortest), self.longest)
        return round(wait * (1 + JITTER * (2 * self.chance - 1)))


@dataclass(slots=True)
class Pace:
    """How many deliveries at once a destination bears, found out as TCP does (RFC 5681).

    Up to `threshold` each answer allows one more, so a round doubles them: 2, 4, 8 ...; beyond it a
    whole round of answers allows one more. A refusal halves them. Never below 1 or beyond `ceiling`.
    """

    limit: float
    ceiling: int
    threshold: float
    answered_at: int = 0  # ms
    refused_at: int = 0  # ms
    heard_at: int = 0  # ms; `updated_at` of the shared row whose number was adopted last

    @property
    def places(self) -> int:
        return max(1, int(self.limit))

    @property
    def full(self) -> bool:
        """Whether it is back at its bound, so that there is nothing left to remember."""
        return self.limit >= self.ceiling

    def answered(self, now: int) -> None:
        self.answered_at = now
        more = 1.0 if self.limit < self.threshold else 1.0 / self.limit
        self.limit = min(self.limit + more, float(self.ceiling))

    def refused(self, now: int, begun_at: int) -> bool:
        """A delivery that began at `begun_at` was too much. Returns whether that is new.

        What was under way at the last refusal belongs to it: a burst halves once.
        """
        if begun_at < self.refused_at:
            return False
        self.refused_at = now
        self.threshold = max(1.0, self.limit / 2)
        self.limit = self.threshold
        return True

    def crowded(self, now: int, begun_at: int) -> bool:
        """Whether no answer means "too many at once": others were answered since the last refusal."""
        if begun_at < self.refused_at:
            return now - self.refused_at < FRESH
        fresh = self.answered_at > self.refused_at and now - self.answered_at < FRESH
        return self.places > 1 and fresh

    def restart(self) -> None:
        """It was down and has answered: slow start, until it refuses or all is as configured."""
        self.threshold = float(self.ceiling)
        self.limit = float(min(SLOW_START, self.ceiling))

    def heard(self, concurrency: int, at: int) -> None:
        """Another worker has found that it bears less."""
        if at > self.heard_at:
            self.heard_at = at
            if concurrency < self.limit:
                self.limit = self.threshold = float(max(1, concurrency))


class Circuits:
    """The memory of one worker. Times in ms, `key` as in queue_destination."""

    def __init__(self, first: int) -> None:
        self._first = first  # deliveries at once to a destination that is new
        self._paces: OrderedDict[str, Pace] = OrderedDict()
        self._closed: OrderedDict[str, int] = OrderedDict()  # until when there is nothing to try

    def pace(self, key: str, ceiling: int) -> Pace:
        """The pace of a destination; a new one begins slowly."""
        pace = self._paces.get(key)
        if pace is None:
            pace = Pace(float(min(self._first, ceiling)), ceiling, float(ceiling))
            self._paces[key] = pace
            if len(self._paces) > MAX_KNOWN:
                self._paces.popitem(last=False)
        else:
            self._paces.move_to_end(key)
            if pace.ceiling != ceiling:
                pace.ceiling, pace.limit = ceiling, min(pace.limit, float(ceiling))
        return pace

    def forget(self) -> None:
        """Begin anew, as after a start."""
        self._paces.clear()
        self._closed.clear()

    def close(self, key: str, until: int) -> None:
        """It is down or held; new mail for it goes into its line until then."""
        self._closed[key] = until
        self._closed.move_to_end(key)
        if len(self._closed) > MAX_KNOWN:
            self._closed.popitem(last=False)

    def open(self, key: str) -> bool:
        """It answers. Returns whether it was known as closed."""
        return self._closed.pop(key, None) is not None

    def closed(self, key: str, now: int) -> bool:
        until = self._closed.get(key)
        if until is not None and (until <= now or not believable(until, now)):
            del self._closed[key]
            return False
        return until is not None
