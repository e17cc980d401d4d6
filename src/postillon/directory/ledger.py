"""What one worker tells of sign-ins, and nobody waits for: the record, and failures that count.

Every `WRITE_S` what has come together is written in one operation; an idle server writes nothing. What
a worker had not written when it died is missing.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from postillon.clock import Clock
from postillon.directory import attempts
from postillon.directory.attempts import Attempts, Tally, What
from postillon.directory.config import AuthConfig
from postillon.directory.throttle import Throttle
from postillon.store.operation import Steps, Store, StoreError, StoreStopped, Tx

WRITE_S = 2.0


class Ledger:
    """One for each worker. `attempts`: where sign-ins note what came of them."""

    def __init__(self, store: Store, config: AuthConfig, clock: Clock, throttle: Throttle) -> None:
        self.attempts = Attempts(clock, config.record_most)
        self._store = store
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._repeat())

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            with suppress(StoreStopped):
                await self.write()

    async def write(self) -> None:
        """Write what has come together. What the store does not take is forgotten."""
        noted = self.attempts.take()
        if not noted:
            return
        try:
            await self._store.write(lambda tx: _write(tx, noted))
        except StoreStopped:
            raise
        except StoreError:
            return  # sign-ins go on, and the record has a gap

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(WRITE_S)
            try:
                await self.write()
            except StoreStopped:
                return


def _write(tx: Tx, noted: dict[What, Tally]) -> Steps[None]:
    known = yield from attempts.standings({what.login for what in noted if what.login})
    yield from attempts.write(tx, attempts.told(noted, known))
