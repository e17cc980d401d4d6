"""IDLE (RFC 2177): the client waits, and hears of changes as soon as they are durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, bad, ok
from postillon.protocol.imap import commands
from postillon.store.operation import StoreError

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

MAX_UNSENT = 64 * 1024  # octets a client has not taken, above which it hears of nothing more


async def idle(session: Session, command: commands.Command) -> Answer:
    session.say(b"+ Idling\r\n")
    await session.flush()
    watch = _Watch(session)
    watch.begin()
    try:
        line = await session.line()
    finally:
        await watch.end()
    return ok() if line.upper() == b"DONE" else bad("Expected DONE")


class _Watch:
    """Tells of changes while the session waits for a line; between them there is no task for it."""

    __slots__ = ("_loop", "_session", "_sign", "_telling", "_unsubscribe", "_wanted")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._telling: asyncio.Task[None] | None = None
        self._wanted = False  # something has changed since the telling looked last
        self._sign: asyncio.TimerHandle | None = None
        account = session.account if session.view is None else session.view.account
        self._unsubscribe = session.server.accounts.hub.subscribe(account.id, self._changed)

    def begin(self) -> None:
        self._changed(0)
        self._live()

    async def end(self) -> None:
        """Tell nothing more. What is being told is told to its end: the view belongs to one task."""
        self._unsubscribe()
        if self._sign is not None:
            self._sign.cancel()
        if self._telling is not None:
            await self._telling

    def _changed(self, modseq: int) -> None:
        """Many changes at once are told together, in the loop's next turn."""
        if self._session.view is None:
            return
        self._wanted = True
        if self._telling is None:
            self._telling = self._loop.create_task(self._tell())

    async def _tell(self) -> None:
        session = self._session
        try:
            while self._wanted:
                self._wanted = False
                if session.stream.unsent() > MAX_UNSENT:
                    return  # nothing is lost: the view learns of it later
                await session.tell(expunge=True)
                data = session.unsaid()
                if data:
                    session.stream.write(data)
        except StoreError as error:
            session.log.warning(
                "idle_cannot_look", error=str(error)
            )  # the next change or sign will
        except Exception as error:  # in a task of its own, nobody else would notice
            session.fault("idle_failed", error)
            session.stream.abort()
        finally:
            self._telling = None

    def _live(self) -> None:
        """Now and then a word, so that routers on the way do not forget the connection."""
        period = self._session.server.config.sign_of_life.total_seconds()
        self._sign = self._loop.call_later(period, self._say_alive)

    def _say_alive(self) -> None:
        self._changed(0)
        if not self._session.stream.unsent():
            self._session.stream.write(b"* OK Still here\r\n")
        self._live()
