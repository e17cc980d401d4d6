"""The clock jumps, forth and back: nothing waits for a time that comes in a year, nothing goes twice.

In virtual time, with a clock that is set while the process runs. What really passes is `sleep`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from postillon.mail.outcome import Deferred, Outcome, Status, reply
from postillon.queue.schedule import LONGEST_HINT
from support.mailqueue import RELAYED, Office, office
from support.virtual import START, VirtualLoop, run

HOUR_S, DAY_S = 3_600, 86_400
LONGEST_S = LONGEST_HINT / 1000 + 600  # nothing waits longer than that of itself
BUSY = Deferred(Status("4.2.0", "refused", reply(450, "4.2.0", "Mailbox busy"), "mx"))
DOWN = Deferred(Status("4.4.1", "no answer", host="mx"), destination=True)
WELL, ILL = "well", "ill"
RECIPIENTS = ["own@busy.example", "line@down.example"]


class Clock:
    """The clock of all processes of a test. `jump` sets it."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        self._loop = loop
        self._offset_s = 0.0
        loop.clock = self.now  # type: ignore[method-assign]

    def now(self) -> int:
        return START + round((self._loop.now + self._offset_s) * 1000)

    def jump(self, seconds: float) -> None:
        self._offset_s += seconds


class World:
    """The other servers: ill at first."""

    state = ILL

    def answer(self, now: int, destination: str, to: str) -> Outcome:
        if self.state == WELL:
            return RELAYED
        return DOWN if destination.startswith("down") else BUSY


@asynccontextmanager
async def workers(folder: Path, count: int, world: World) -> AsyncIterator[list[Office]]:
    async with office(folder, worker="w0@one") as first:
        first.agent.answer = world.answer
        if count == 1:
            yield [first]
            return
        async with office(folder, worker="w1@one") as second:
            second.agent.answer = world.answer
            yield [first, second]


async def drained(here: Office, seconds: float) -> None:
    """Everything is gone within so much real time."""
    for _ in range(round(seconds / 60)):
        if here.empty():
            return
        await asyncio.sleep(60)
    raise AssertionError(f"still there: {here.rows('SELECT * FROM queue_recipient')}")


def kinds(here: Office) -> list[str]:
    return [json.loads(line)["event"] for line in here.logged]


@pytest.mark.parametrize("restarted", [False, True], ids=["running", "restarted"])
@pytest.mark.parametrize("back_s", [600, 3 * HOUR_S, 2 * DAY_S, 400 * DAY_S])
def test_a_clock_set_back_makes_nothing_wait_for_the_old_time(
    tmp_path: Path, back_s: int, restarted: bool
) -> None:
    world = World()

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, 1, world) as [here]:
            await here.submit(*RECIPIENTS)
            await asyncio.sleep(HOUR_S)
            if not restarted:
                clock.jump(-back_s)
                world.state = WELL
                await drained(here, LONGEST_S)
                assert await here.inbox("ada@example.org") == []
                return
        clock.jump(-back_s)
        world.state = WELL
        async with workers(tmp_path, 1, world) as [here]:
            await drained(here, LONGEST_S)
            assert await here.inbox("ada@example.org") == []

    run(scene())


@pytest.mark.parametrize("count", [1, 2])
def test_a_clock_that_was_wrong_for_a_while_leaves_nothing_behind(
    tmp_path: Path, count: int
) -> None:
    """Three days ahead for twenty minutes: new mail, tries and probes meanwhile, then the truth."""
    world = World()

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, count, world) as here:
            await here[0].submit(*RECIPIENTS)
            await asyncio.sleep(HOUR_S)
            clock.jump(3 * DAY_S)
            await here[-1].submit("during@busy.example", "during@down.example", "bob@example.net")
            await asyncio.sleep(20 * 60)
            clock.jump(-3 * DAY_S)
            await asyncio.sleep(60)
            await here[0].submit("later@busy.example", "later@down.example")
            world.state = WELL
            await drained(here[0], LONGEST_S)
            assert len(await here[0].inbox("bob@example.net")) == 1
            for text in await here[0].inbox("ada@example.org"):
                assert b"Action: failed" not in text

    run(scene())


def test_a_clock_set_forward_makes_waiting_mail_due_and_loses_none(tmp_path: Path) -> None:
    world = World()

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, 1, world) as [here]:
            await here.submit(*RECIPIENTS)
            await asyncio.sleep(HOUR_S)
            world.state = WELL
            clock.jump(2 * DAY_S)
            await drained(here, 300)
            assert await here.inbox("ada@example.org") == []

    run(scene())


def test_a_clock_beyond_every_lifetime_gives_each_one_more_try_and_then_a_report(
    tmp_path: Path,
) -> None:
    world = World()

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, 1, world) as [here]:
            await here.submit("own@busy.example")
            await asyncio.sleep(HOUR_S)
            tries = len(here.agent.tries)
            clock.jump(400 * DAY_S)
            await drained(here, 300)
            assert len(here.agent.tries) == tries + 1
            reports = await here.inbox("ada@example.org")
            assert sum(b"Action: failed" in text for text in reports) == 1

    run(scene())


@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S, 3 * DAY_S, -3 * DAY_S])
def test_a_jump_takes_nothing_out_of_the_hands_of_a_worker_that_lives(
    tmp_path: Path, jump_s: int
) -> None:
    """Leases end by the clock: one that jumps must not make two workers of one."""
    world = World()
    world.state = WELL

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, 2, world) as here:
            for at in here:
                at.agent.seconds = 900
            for number in range(4):
                await here[number % 2].submit(f"far-{number}@remote{number}.example")
            await asyncio.sleep(70)
            clock.jump(jump_s)
            await drained(here[0], 3_000)
            tried = sorted(path for at in here for one in at.agent.tries for path in one.to)
            assert tried == [f"far-{number}@remote{number}.example" for number in range(4)]
            assert not any("taken over from a dead worker" in kinds(at) for at in here)

    run(scene())


@pytest.mark.parametrize("jump_s", [HOUR_S, -3 * DAY_S])
def test_what_a_dead_worker_had_in_hand_is_taken_over_whatever_the_clock_does(
    tmp_path: Path, jump_s: int
) -> None:
    world = World()
    world.state = WELL

    async def scene() -> None:
        clock = Clock()
        async with workers(tmp_path, 2, world) as [here, doomed]:
            doomed.agent.seconds = 100_000
            await doomed.submit("far@remote.example")
            await asyncio.sleep(1)
            for task in [*doomed.runner._tasks, *doomed.runner._running]:  # as kill -9 would
                task.cancel()
            clock.jump(jump_s)
            await drained(here, 1_200)
            assert len(here.agent.tries) == 1

    run(scene())
