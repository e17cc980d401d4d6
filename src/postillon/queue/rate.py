"""Messages a minute to destinations whose rate is bounded: one account for all workers and servers.

A worker books the time of a few messages at once in the destination's row, so that a bounded rate
costs one small write for ten seconds of mail. Time that was booked and not used is lost, never saved
up: no burst follows a pause.
"""

from __future__ import annotations

from collections import deque

from postillon.clock import Clock
from postillon.deliver.agent import Site
from postillon.queue import destinations
from postillon.queue.schedule import believable
from postillon.store.operation import Store

SPAN = 10_000  # ms of mail that are booked at once, and that a delivery waits in hand at most


class Rates:
    """The booked times of one worker. Times in ms."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._booked: dict[str, deque[int]] = {}

    def forget(self) -> None:
        """Let go of all booked times."""
        self._booked.clear()

    async def take(self, site: Site, interval: int) -> int:
        """When the next message to a site may go (ms). At most SPAN ahead it counts as used.

        interval: ms between two messages. Books more time when there is none left.
        """
        now = self._clock()
        booked = self._booked.setdefault(site.key, deque())
        while booked and booked[0] < now - interval:
            booked.popleft()
        if booked and not believable(booked[0], now):
            booked.clear()
        if not booked:
            count = max(1, SPAN // interval)
            start = await self._store.write(
                lambda tx: destinations.pay(tx, site.key, site.hosts, interval, count)
            )
            booked.extend(start + n * interval for n in range(count))
        at = booked[0]
        if at - now <= SPAN:
            booked.popleft()
            if not booked:
                self._booked.pop(site.key, None)
        return at
