"""Those who have signed in and stay: each of their connections ends when what let it in is gone.

A password that was changed, a session or app password that was revoked, an account that was closed:
the operation announces whose (`topics.standing_changed`), and every worker looks at those connections
at once. What expires by itself is found within `LOOK_S`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from postillon.clock import Clock
from postillon.directory.standing import stands
from postillon.directory.topics import STANDING
from postillon.store.operation import EVERYTHING, Store, StoreError

LOOK_S = 300.0
FAREWELL = "Signed out: the password was changed or the access revoked"


def nobody() -> None:
    """What to call when somebody goes who has not signed in."""


@dataclass(frozen=True, slots=True)
class _Guest:
    credential: str
    since: int  # ms
    end: Callable[[], None]


class Guests:
    """The open connections of one worker."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._here: dict[int, dict[int, _Guest]] = {}  # by principal
        self._next = 0
        self._wanted: set[int] = set()  # principals to look at
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None

    def enter(self, principal: int, credential: str, end: Callable[[], None]) -> Callable[[], None]:
        """Somebody has signed in and stays. Returns what to call when they go; may be called twice.

        credential: as an identity has it. end: ends the connection; returns at once, raises nothing.
        """
        self._next += 1
        number = self._next
        guest = _Guest(credential, self._clock(), end)
        self._here.setdefault(principal, {})[number] = guest
        return lambda: self._leave(principal, number)

    def start(self) -> None:
        """Look now and then for what has expired."""
        self._timer = asyncio.get_running_loop().call_later(LOOK_S, self._again)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def hear(self, topics: Sequence[str]) -> None:
        """What was announced, here or in another process."""
        for topic in topics:
            kind, _, number = topic.partition(":")
            if topic == EVERYTHING:
                self.look()
            elif kind == STANDING and number.isascii() and number.isdigit():
                self._want((int(number),))

    def look(self) -> None:
        """Look at everybody, soon."""
        self._want(self._here)

    def _again(self) -> None:
        self.look()
        self.start()

    def _want(self, principals: Iterable[int]) -> None:
        self._wanted.update(number for number in principals if number in self._here)
        if self._wanted and self._task is None:
            self._task = asyncio.create_task(self._look())

    async def _look(self) -> None:
        try:
            while self._wanted:
                await self._look_at(self._wanted.pop())
                await asyncio.sleep(0)
        except StoreError:
            self._wanted.clear()  # nobody to ask: the next look finds it
        finally:
            self._task = None

    async def _look_at(self, principal: int) -> None:
        now = self._clock()
        for number, guest in list(self._here.get(principal, {}).items()):
            steps = stands(principal, guest.credential, guest.since, now)
            if not await self._store.query(steps):
                self._leave(principal, number)
                guest.end()

    def _leave(self, principal: int, number: int) -> None:
        guests = self._here.get(principal)
        if guests is None:
            return
        guests.pop(number, None)
        if not guests:
            del self._here[principal]
