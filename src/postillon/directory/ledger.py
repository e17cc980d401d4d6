"""What the workers tell each other of sign-ins, and nobody waits for: the record, and what is counted.

Every `WRITE_S` a worker writes what has come together in one operation; an idle one writes nothing, and
a good login is a count in memory until then. What a worker had not written when it died is missing.
Others are told that something has changed and read what is new to them; a hint that is lost costs
nothing but time, as the next one brings all of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress

from postillon.clock import Clock
from postillon.directory import attempts, throttled
from postillon.directory.attempts import Attempts, Tally, What
from postillon.directory.config import AuthConfig
from postillon.directory.throttle import EVERY, Key, Throttle, address_of, network
from postillon.store.operation import EVERYTHING, Steps, Store, StoreError, StoreStopped, Tx

WRITE_S = 2.0
Failures = Mapping[Key, tuple[int, int]]


class Ledger:
    """One for each worker. `attempts`: where sign-ins note what came of them."""

    def __init__(self, store: Store, config: AuthConfig, clock: Clock, throttle: Throttle) -> None:
        self.attempts = Attempts(clock, config.record_most)
        self._store = store
        self._throttle = throttle
        self._forget_ms = int(config.forget_after.total_seconds() * 1000)
        self._seen = 0  # what the throttle knows of the shared counts
        self._task: asyncio.Task[None] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._again = False  # something has changed while it was read

    async def start(self) -> None:
        """Begin with what the others know; a restart excuses nobody."""
        with suppress(StoreError):
            await self.read()
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Write what is left."""
        tasks = [task for task in (self._task, self._reading) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._task is not None:
            self._task = None
            with suppress(StoreStopped):
                await self.write()

    def hear(self, topics: Sequence[str]) -> None:
        """What was announced, here or in another process."""
        if throttled.TOPIC not in topics and EVERYTHING not in topics:
            return
        self._again = True
        if self._reading is None and self._task is not None:
            self._reading = asyncio.create_task(self._read_all())

    async def knows(self, address: str, login: str) -> bool:
        """Whether the owner of this login has lately signed in from there, at whatever worker."""
        if self._throttle.knows(address, login):
            return True
        steps = attempts.has_signed_in(network(address)[0], address_of(login))
        try:
            found = bool(address_of(login)) and await self._store.query(steps)
        except StoreError:
            return False
        if found:
            self._throttle.remember(address, login)
        return found

    async def write(self) -> None:
        """Write what has come together. What the store does not take is not told to others."""
        noted, failures = self.attempts.take(), self._throttle.take()
        excused = self._throttle.take_excused()
        if not noted and not failures and not excused:
            return
        try:
            told = await self._store.write(
                lambda tx: _write(tx, noted, excused, failures, self._forget_ms)
            )
            await self.read(told)
        except StoreStopped:
            raise
        except StoreError:
            return  # sign-ins go on: the record has a gap, and the failures count here

    async def read(self, told: Failures | None = None) -> None:
        """Learn what is new. told: what is in it of this worker's own."""
        rows = await self._store.read_apart(throttled.since(self._seen))
        self._throttle.learn(rows, told or {})
        if rows:
            self._seen = max(self._seen, rows[-1].changed)

    async def _read_all(self) -> None:
        try:
            while self._again:
                self._again = False
                await self.read()
        except StoreError:
            return  # the next hint brings it
        finally:
            self._reading = None

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            try:
                await self.write()
            except StoreStopped:
                return


def _write(
    tx: Tx,
    noted: Mapping[What, Tally],
    excused: Collection[Key],
    failures: Failures,
    forget_ms: int,
) -> Steps[Failures]:
    """Returns the failures that are shared: those of networks, and of logins in domains of ours."""
    logins = {what.login for what in noted} | {login for _, login in failures}
    known = yield from attempts.standings(logins - {EVERY})
    yield from attempts.write(tx, attempts.told(noted, known))
    if excused:
        yield from throttled.lift(tx, excused)
    told = {key: value for key, value in failures.items() if key[1] == EVERY or key[1] in known}
    yield from throttled.add(tx, told, forget_ms)
    return told
