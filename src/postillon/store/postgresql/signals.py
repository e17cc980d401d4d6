"""Hints between all processes on one database: "this account changed", by LISTEN and NOTIFY.

Told after the commit and beside it, on a connection of its own: a commit never waits for it, and while
one NOTIFY is under way what happens meanwhile is gathered for the next. A hint may be lost with its
process; truth is in the tables, and who waits for a change looks there now and then. After a broken
connection nobody knows what was said meanwhile, so listeners are told to look at everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import islice

import msgspec

from postillon.log import Log
from postillon.store.config import StoreConfig
from postillon.store.operation import EVERYTHING, CommitListener
from postillon.store.postgresql.connection import REFUSED, Connection, close, connect

CHANNEL = "postillon"
MAX_PAIRS = 150  # of one NOTIFY: with up to 40 octets each, below PostgreSQL's 8,000
MAX_TOPICS, MAX_TOPIC = 16, 64  # of one NOTIFY; characters
FIRST_WAIT_S, LONGEST_WAIT_S = 0.2, 10.0  # between two attempts to connect; doubled each time
LOOK_S = 15.0  # between two looks whether a silent connection still answers
FAREWELL_S = 2.0  # for the last hints at the end


class Hint(msgspec.Struct, array_like=True, frozen=True):
    """What one NOTIFY holds, as JSON."""

    sender: str  # the owner: a process leaves out what it has said itself
    changes: list[tuple[int, int]]  # account, MODSEQ
    topics: list[str]


class Signals:
    """This process's ear and voice. Sends only, until `listen` is called."""

    def __init__(self, config: StoreConfig, owner: str, log: Log) -> None:
        self._config = config
        self._owner = owner
        self._log = log
        self._listener: CommitListener | None = None
        self._changes: dict[int, int] = {}
        self._topics: dict[str, None] = {}
        self._due = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._encode = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder(Hint).decode

    async def listen(self, listener: CommitListener) -> None:
        """Call `listener` in the loop's thread with what other processes have made durable.

        Returns when listening; raises StoreError if there is no connection now.
        """
        connection = await self._connected(listener)
        if self._task is not None:  # that only sends
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._due.set()
        self._listener = listener
        self._start(connection)

    def tell(self, changes: Iterable[tuple[int, int]], topics: Iterable[str]) -> None:
        """Tell all others, never waiting. Of an account that occurs often only the last is told."""
        self._changes.update(changes)
        self._topics.update((topic, None) for topic in topics if len(topic) <= MAX_TOPIC)
        self._due.set()
        if self._task is None and not self._closing:
            self._start(None)

    async def close(self) -> None:
        """Say what is still to be said, if that is quickly done, and end."""
        self._closing = True
        self._due.set()
        if self._task is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._task, FAREWELL_S)

    def _start(self, connection: Connection | None) -> None:
        self._task = asyncio.create_task(self._run(connection), name=f"signals-{self._owner}")

    async def _run(self, connection: Connection | None) -> None:
        wait = FIRST_WAIT_S
        try:
            while not (self._closing and not self._changes and not self._topics):
                try:
                    if connection is None:
                        connection = await self._connected(self._listener)
                        wait = FIRST_WAIT_S
                        self._look_at_everything()
                    await self._serve(connection)
                except Exception as error:  # whatever it was, hints must go on
                    if connection is not None:
                        self._log.warning("hints interrupted", error=str(error))
                        await close(connection)
                        connection = None
                    if self._closing:
                        return
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, LONGEST_WAIT_S)
        finally:
            if connection is not None:
                await close(connection)

    async def _connected(self, listener: CommitListener | None) -> Connection:
        connection = await connect(self._config, f"{self._owner} hints")
        if listener is not None:
            try:
                await connection.add_listener(CHANNEL, self._heard)
            except REFUSED:
                await close(connection)
                raise
            # A connection that breaks while nothing is said is noticed at once.
            connection.add_termination_listener(lambda _: self._due.set())
        return connection

    async def _serve(self, connection: Connection) -> None:
        """Send what is due; a silent connection is asked now and then whether it is there."""
        try:
            async with asyncio.timeout(LOOK_S):
                await self._due.wait()
        except TimeoutError:
            await connection.execute("SELECT 1")
            return
        self._due.clear()
        if connection.is_closed():
            raise ConnectionResetError("the connection has ended")
        while self._changes or self._topics:
            changes = list(islice(self._changes.items(), MAX_PAIRS))
            topics = list(islice(self._topics, MAX_TOPICS))
            hint = self._encode(Hint(self._owner, changes, topics)).decode()
            await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, hint)
            for account, modseq in changes:
                if self._changes.get(account) == modseq:  # not a newer one
                    del self._changes[account]
            for topic in topics:
                del self._topics[topic]

    def _heard(self, connection: object, pid: int, channel: str, payload: str) -> None:
        try:
            hint = self._decode(payload)
        except msgspec.MsgspecError:
            self._log.warning("hint not understood", octets=len(payload))
            return
        if hint.sender != self._owner:
            self._pass_on(hint.changes, hint.topics)

    def _look_at_everything(self) -> None:
        """After a reconnection: what was said meanwhile is not known."""
        if self._listener is not None:
            self._pass_on((), (EVERYTHING,))

    def _pass_on(self, changes: Sequence[tuple[int, int]], topics: Sequence[str]) -> None:
        if self._listener is None:
            return
        try:
            self._listener(changes, topics)
        except Exception as error:
            self._log.error("hint listener failed", error=repr(error))
