"""Telling a client of changes while the session waits for what it says next (IDLE, NOTIFY)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING

from postillon.account.ids import AccountId
from postillon.store.operation import StoreError

if TYPE_CHECKING:
    from postillon.access.imap.session import Session

MAX_UNSENT = 64 * 1024  # octets a client has not taken, above which it hears of nothing more


class Watch:
    """Between two changes there is no task for it."""

    __slots__ = ("_loop", "_session", "_subscribed", "_tell", "_telling", "_wanted")

    def __init__(self, session: Session, tell: Callable[[], Awaitable[None]]) -> None:
        """tell: says what has changed since it was called last."""
        self._session = session
        self._tell = tell
        self._loop = asyncio.get_running_loop()
        self._telling: asyncio.Task[None] | None = None
        self._wanted = False  # something has changed since the telling looked last
        self._subscribed: list[Callable[[], None]] = []

    def begin(self, accounts: Iterable[AccountId]) -> None:
        """Tell at once what has changed already, then whatever changes in these accounts."""
        hub = self._session.server.accounts.hub
        self._subscribed = [hub.subscribe(account, self.changed) for account in accounts]
        self.changed(0)

    async def end(self) -> None:
        """Tell nothing more. What is being told is told to its end: the view belongs to one task."""
        for unsubscribe in self._subscribed:
            unsubscribe()
        if self._telling is not None:
            await self._telling

    def changed(self, modseq: int) -> None:
        """Many changes at once are told together, in the loop's next turn."""
        self._wanted = True
        if self._telling is None:
            self._telling = self._loop.create_task(self._run())

    async def _run(self) -> None:
        session = self._session
        try:
            while self._wanted:
                self._wanted = False
                if session.stream.unsent() > MAX_UNSENT:
                    return  # nothing is lost: it is told later
                await self._tell()
                data = session.unsaid()
                if data:
                    session.stream.write(data)
        except StoreError as error:  # the next change or sign of life will
            session.log.warning("watch_cannot_look", error=str(error))
        except (OSError, TimeoutError):
            session.stream.abort()
        except Exception as error:  # in a task of its own, nobody else would notice
            session.fault("watch_failed", error)
            session.stream.abort()
        finally:
            self._telling = None
