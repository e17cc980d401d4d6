"""IDLE (RFC 2177): the client waits, and hears of changes as soon as they are durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, bad, ok
from postillon.protocol.imap import commands

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
        watch.end()
    return ok() if line.upper() == b"DONE" else bad("Expected DONE")


class _Watch:
    """Writes from the loop's callbacks: an idling session needs no task beside its own."""

    __slots__ = ("_due", "_loop", "_session", "_sign", "_unsubscribe")

    def __init__(self, session: Session) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._due: asyncio.Handle | None = None
        self._sign: asyncio.TimerHandle | None = None
        self._unsubscribe = session.server.accounts.hub.subscribe(session.account.id, self._changed)

    def begin(self) -> None:
        self._changed(0)
        self._live()

    def end(self) -> None:
        self._unsubscribe()
        for handle in (self._due, self._sign):
            if handle is not None:
                handle.cancel()

    def _changed(self, modseq: int) -> None:
        """Many changes at once are told together, in the loop's next turn."""
        if self._due is None and self._session.view is not None:
            self._due = self._loop.call_soon(self._push)

    def _push(self) -> None:
        self._due = None
        session = self._session
        if session.stream.unsent() > MAX_UNSENT:
            return  # nothing is lost: the view learns of it later
        try:
            session.tell(expunge=True)
            data = session.unsaid()
            if data:
                session.stream.write(data)
        except Exception as error:  # in a callback, nobody else would notice
            session.fault("idle_failed", error)
            session.stream.abort()

    def _live(self) -> None:
        """Now and then a word, so that routers on the way do not forget the connection."""
        period = self._session.server.config.sign_of_life.total_seconds()
        self._sign = self._loop.call_later(period, self._say_alive)

    def _say_alive(self) -> None:
        self._changed(0)
        if not self._session.stream.unsent():
            self._session.stream.write(b"* OK Still here\r\n")
        self._live()
