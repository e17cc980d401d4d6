"""When a batch begins, and what comes along."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from postillon.store.batch import PAUSES, Batch, Job, Turnstile
from postillon.store.operation import Brief, Steps, Tx


def nothing(tx: Tx) -> Steps[None]:
    yield "SELECT 1", ()


class Begun:
    """Batches that have begun, and how often it was asked whether they may."""

    def __init__(self, free: Callable[[int], bool]) -> None:
        self.batches: list[Batch] = []
        self.asked = 0
        self._free = free
        self._loop = asyncio.get_running_loop()
        self.turnstile = Turnstile(self._loop, self.batches.append, 100, 1 << 20, self.free)

    def free(self) -> bool:
        self.asked += 1
        return self._free(self.asked)

    def join(self) -> Job:
        job = Job(Brief(nothing), (), self._loop.create_future())
        self.turnstile.join(job)
        return job

    async def begins(self, count: int = 1) -> None:
        while len(self.batches) < count:
            await asyncio.sleep(0)


async def test_a_batch_collects_while_another_process_writes() -> None:
    begun = Begun(lambda asked: asked == 2)
    first = begun.join()
    while begun.asked < 1:
        await asyncio.sleep(0)
    assert not begun.batches
    second = begun.join()
    await begun.begins()
    assert begun.batches[0].jobs == [first, second]
    assert begun.asked == 2


async def test_a_batch_begins_at_last_though_another_process_writes_on() -> None:
    begun = Begun(lambda asked: False)
    job = begun.join()
    await begun.begins()
    assert begun.batches[0].jobs == [job]
    assert begun.asked == PAUSES
    begun.join()
    begun.turnstile.passed()
    await begun.begins(2)
    assert begun.asked == 2 * PAUSES, "patience is that of each batch"
