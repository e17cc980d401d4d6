"""How long work tells how far it is, keeps to a speed, and hears that it should stop."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol


class Progress(Protocol):
    """Somebody who watches. Called from the thread that works."""

    def begin(self, what: str, total: int) -> None:
        """A part of the work begins. total: octets; 0 is not known."""

    def step(self, octets: int, count: int) -> None:
        """So many octets and things more are done."""


class Unwatched:
    """Nobody watches."""

    def begin(self, what: str, total: int) -> None:
        pass

    def step(self, octets: int, count: int) -> None:
        pass


class Stopped(Exception):
    """The work was told to stop. What it had begun is as a kill would have left it."""


class Pace:
    """What a loop over pieces of work calls after each of them.

    rate: octets a second at most; None is as fast as it goes. `stop` may be called from any thread.
    """

    def __init__(
        self,
        progress: Progress | None = None,
        rate: int | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._progress: Progress = progress or Unwatched()
        self._rate, self._clock, self._sleep = rate, clock, sleep
        self._stopped = False
        self._until = clock()  # when the octets so far should have been moved

    def stop(self) -> None:
        self._stopped = True

    def begin(self, what: str, total: int = 0) -> None:
        self._progress.begin(what, total)

    def step(self, octets: int = 0, count: int = 0) -> None:
        """Waits if that was too fast. Raises Stopped."""
        self.skip(octets, count)
        if self._rate is None or not octets:
            return
        now = self._clock()
        self._until = max(self._until, now) + octets / self._rate
        if self._until > now:
            self._sleep(self._until - now)

    def skip(self, octets: int = 0, count: int = 0) -> None:
        """As `step`, for octets that were done already. Raises Stopped."""
        if self._stopped:
            raise Stopped
        self._progress.step(octets, count)
