"""IDLE (RFC 2177): the client waits, and hears of changes as soon as they are durable."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from postillon.access.imap.answer import Answer, bad, ok
from postillon.access.imap.watch import Watch
from postillon.protocol.imap import commands

if TYPE_CHECKING:
    from postillon.access.imap.session import Session


async def idle(session: Session, command: commands.Command) -> Answer:
    session.say(b"+ Idling\r\n")
    await session.flush()
    watch = Watch(session, lambda: session.tell_all(expunge=True))
    watch.begin(session.watched())
    signs = _Signs(session, watch)
    try:
        line = await session.line()
    finally:
        signs.end()
        await watch.end()
    return ok() if line.upper() == b"DONE" else bad("Expected DONE")


class _Signs:
    """Now and then a word, so that routers on the way do not forget the connection."""

    __slots__ = ("_session", "_sign", "_watch")

    def __init__(self, session: Session, watch: Watch) -> None:
        self._session = session
        self._watch = watch
        self._sign = self._next()

    def end(self) -> None:
        self._sign.cancel()

    def _next(self) -> asyncio.TimerHandle:
        period = self._session.server.config.sign_of_life.total_seconds()
        return asyncio.get_running_loop().call_later(period, self._say_alive)

    def _say_alive(self) -> None:
        self._watch.changed(0)
        if not self._session.stream.unsent():
            self._session.stream.write(b"* OK Still here\r\n")
        self._sign = self._next()
