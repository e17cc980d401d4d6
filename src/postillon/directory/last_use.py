"""When a credential was used last: written within an hour of it, and nobody waits for that.

A row says so every hour at most, from a task of its own; what is lost in a crash is one hour of a date
that people glance at.
"""

from __future__ import annotations

import asyncio

from postillon.clock import Clock
from postillon.store.operation import Statement, Steps, Store, StoreError, Tx

EVERY_MS = 3_600_000
MAX_WAITING = 10_000  # uses noted while one write is under way; more are forgotten


class LastUse:
    """Notes of one worker."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._waiting: dict[tuple[str, int, int], Statement] = {}
        self._task: asyncio.Task[None] | None = None

    def app_password(self, principal: int, credential: int, used_at: int | None) -> None:
        """used_at: what the row says now, ms."""
        self._note(
            ("app", principal, credential),
            used_at,
            "UPDATE credential SET used_at = ? WHERE principal = ? AND credential = ?",
            principal,
            credential,
        )

    def api_key(self, key: int, used_at: int | None) -> None:
        sql = "UPDATE api_key SET used_at = ? WHERE api_key = ?"
        self._note(("key", key, 0), used_at, sql, key)

    async def written(self) -> None:
        """Wait for what is being written."""
        if self._task is not None:
            await self._task

    def _note(self, key: tuple[str, int, int], used_at: int | None, sql: str, *row: int) -> None:
        now = self._clock()
        if used_at is not None and now - used_at < EVERY_MS:
            return
        if key in self._waiting or len(self._waiting) >= MAX_WAITING:
            return
        self._waiting[key] = (sql, (now, *row))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            batch = dict(self._waiting)

            def operation(
                tx: Tx, batch: dict[tuple[str, int, int], Statement] = batch
            ) -> Steps[None]:
                for statement in batch.values():
                    _ = yield statement  # a plain iterator takes no rows, so no `yield from`

            try:
                await self._store.write(operation)
            except StoreError:
                self._waiting.clear()  # a date; the next use notes it again
                return
            for key in batch:
                self._waiting.pop(key, None)
