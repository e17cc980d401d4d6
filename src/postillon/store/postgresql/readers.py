"""The connections that read: a few, kept open, each with a snapshot for one read at a time.

A reading connection stands in a transaction that has no snapshot yet; PostgreSQL takes it with the
first statement. So a read of one statement is one round trip, and one of several sees one moment.
After the answer, beside the caller's next steps, the connection is turned to the next read.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postillon.log import Log
from postillon.store.config import StoreConfig
from postillon.store.operation import Steps, StoreStopped, T
from postillon.store.postgresql.connection import (
    REFUSED,
    Connection,
    Unreachable,
    close,
    connect,
    run,
    translated_error,
)

_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_TURN = f"ROLLBACK; {_BEGIN}"


class Readers:
    """At most `config.connections` of them, made as they are needed."""

    def __init__(self, config: StoreConfig, name: str, log: Log) -> None:
        self._config = config
        self._name = name
        self._log = log
        self._idle: list[Connection] = []
        self._open = 0
        self._waiting: deque[asyncio.Future[Connection | None]] = deque()
        self._turning: set[asyncio.Task[None]] = set()
        self._closed = False

    async def read(self, steps: Steps[T]) -> T:
        """Run in one read transaction. Raises Unreachable, or what the steps raise."""
        async with self.connection() as connection:
            return await run(connection, steps)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """One that nobody else uses meanwhile. What PostgreSQL refuses becomes a StoreError."""
        connection = await self._take()
        try:
            yield connection
        except BaseException as error:
            failure = translated_error(error) if isinstance(error, REFUSED) else error
            if isinstance(failure, Unreachable | asyncio.CancelledError):
                # A statement may still be under way there: it is quicker to begin anew.
                connection.terminate()
            if failure is error:
                raise
            raise failure from error
        finally:
            self._give_back(connection)

    def _give_back(self, connection: Connection) -> None:
        if connection.is_closed():
            self._open -= 1
            self._hand_on(None)
            return
        task = asyncio.get_running_loop().create_task(self._turn(connection))
        self._turning.add(task)
        task.add_done_callback(self._turning.discard)

    async def _take(self) -> Connection:
        while True:
            if self._closed:
                raise StoreStopped("the store is closed")
            while self._idle:
                connection = self._idle.pop()  # the one used last: the others may rest
                if not connection.is_closed():
                    return connection
                self._open -= 1
            if self._open < self._config.connections:
                return await self._make()
            waiter: asyncio.Future[Connection | None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            try:
                handed = await waiter
            except asyncio.CancelledError:
                if waiter.done() and not waiter.cancelled():
                    self._hand_on(waiter.result())
                raise
            if handed is not None:
                return handed

    async def _make(self) -> Connection:
        self._open += 1
        try:
            connection = await connect(
                self._config, self._name, idle_in_transaction_session_timeout="0"
            )
            try:
                await connection.execute(_BEGIN)
            except BaseException:
                connection.terminate()
                raise
        except BaseException as error:
            self._open -= 1
            self._hand_on(None)  # whoever waits may try in its turn
            if isinstance(error, REFUSED):
                raise translated_error(error) from error
            raise
        return connection

    async def _turn(self, connection: Connection) -> None:
        try:
            await connection.execute(_TURN)
        except Exception:  # whatever it was: who waits must not wait for this one
            await self._lose(connection)
        else:
            if self._closed:
                await self._lose(connection)
            else:
                self._hand_on(connection)

    async def _lose(self, connection: Connection) -> None:
        self._open -= 1
        self._hand_on(None)
        await close(connection)

    def _hand_on(self, connection: Connection | None) -> None:
        """To who waits longest; None: there is room for a new one."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    async def close(self) -> None:
        """End what is idle now; what is in use ends after its read."""
        self._closed = True
        while self._waiting:
            self._hand_on(None)
        while self._turning:
            await asyncio.gather(*self._turning, return_exceptions=True)
        for connection in self._idle:
            await close(connection)
        self._idle.clear()
