"""What the database has answered and need not be asked again until it may have changed."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from postillon.clock import Clock, system_clock
from postillon.store.operation import EVERYTHING

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

LASTS_MS = 60_000  # then it is asked again, should the word of a change have been lost (net.bus)
MOST = 10_000  # answers; the one kept first is forgotten first


class Remembered(Generic[K, V]):
    """For one process that hears of changes, its own and others', and forgets what they concern.

    heard: changes so far. Whoever asks notes it first: an answer that was on its way while a change
    was heard of is not kept. most: 0 for who hears nothing, and so remembers nothing.
    """

    __slots__ = ("_clock", "_known", "_most", "heard")

    def __init__(self, clock: Clock = system_clock, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._known: dict[K, tuple[int, V]] = {}  # until when it holds (ms)
        self.heard = 0

    def find(self, key: K) -> V | None:
        found = self._known.get(key)
        # A clock that was set back must not make an answer last.
        if found is None or not 0 <= found[0] - self._clock() <= LASTS_MS:
            return None
        return found[1]

    def keep(self, key: K, value: V, heard: int) -> None:
        """heard: as it was before the question."""
        if heard != self.heard:
            return
        known = self._known
        known.pop(key, None)
        known[key] = self._clock() + LASTS_MS, value
        if len(known) > self._most:
            del known[next(iter(known))]

    def hear(self, topic: str, topics: Sequence[str]) -> None:
        """Forget all if what they depend on is among what was announced."""
        if topic in topics or EVERYTHING in topics:
            self.forget_all()

    def forget(self, key: K) -> None:
        self.heard += 1
        self._known.pop(key, None)

    def forget_all(self) -> None:
        self.heard += 1
        self._known.clear()
