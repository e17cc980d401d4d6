"""An event loop whose time jumps to the next timer as soon as nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
PAUSE_S = 0.005  # so short a pause ends in real time too: a thread may be waiting for its end
START = 1_790_000_000_000  # ms since 1970 at virtual time 0


class _Selector(selectors.DefaultSelector):  # type: ignore[misc] # its base differs by system
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if self.loop.busy or timeout is None:
            if timeout is None or timeout > PAUSE_S:
                return super().select(0.05)  # a thread is at work: its answer comes in real time
            events = super().select(timeout)
            if events:
                return events
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """`now` in seconds from 0. While `busy` > 0 time stands still."""

    def __init__(self) -> None:
        selector = _Selector()
        selector.loop = self
        self.now = 0.0
        self.busy = 0
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def clock(self) -> int:
        """Milliseconds since 1970, for whoever wants a Clock."""
        return START + round(self.now * 1000)

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, func, *args)
        self.hold(future)
        return future

    def hold(self, future: asyncio.Future[Any]) -> None:
        """Let time stand still until the future is done."""
        self.busy += 1
        future.add_done_callback(self._release)

    def _release(self, future: asyncio.Future[Any]) -> None:
        self.busy -= 1


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on a virtual loop to the end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
