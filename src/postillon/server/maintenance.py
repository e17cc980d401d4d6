"""The maintenance process: what no commit should have to wait for, and the figures.

Each duty runs again some time after it has ended, never twice at once. A duty that fails is logged and
tried again at its next time; a failed sync ends the process (I4).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from postillon.account.accounts import Accounts
from postillon.account.indexing import Indexer
from postillon.admin import audit
from postillon.admin.hints import Hints
from postillon.directory import attempts, push, sessions, throttled
from postillon.directory.directory import Directory
from postillon.log import Log
from postillon.queue.submit import Submitter
from postillon.queue.trace import forget
from postillon.route.recipient import Recipients
from postillon.server import activity, setup
from postillon.server.config import Configuration
from postillon.server.gauges import queue_gauges
from postillon.server.handover import Listening
from postillon.server.http import StatusServer
from postillon.server.metrics import exposition
from postillon.server.process import main
from postillon.server.search import text_indexes
from postillon.server.watch import Watch, free_of
from postillon.store.checkpoint import checkpoint
from postillon.store.choice import open_any
from postillon.store.compact import Compactor, remove_retired, seal_abandoned, sweep
from postillon.store.expire import drain, expire
from postillon.store.operation import Steps, StoreError, StoreStopped
from postillon.store.sqlite import SqliteStore

if TYPE_CHECKING:
    from postillon.store.choice import AnyStore

CHECKPOINT_S = 2.0  # 24 MB of log are some seconds of full load
COMPACT_S = 30.0
TIDY_S = 600.0
EXPIRE_S = 3600.0
DAY_MS = 86_400_000
AUDIT_DAYS = 400  # what administrators have done is known for longer than a year
FIRST_S = 5.0  # after the start, when the workers have theirs behind them


@dataclass(frozen=True, slots=True)
class Duty:
    """Something to do every `every_s` seconds."""

    name: str
    every_s: float
    call: Callable[[], Awaitable[object]]
    first_s: float = FIRST_S
    everywhere: bool = False  # by each server of a shared database, not only by the one that leads


class Maintenance:
    """The running process, for `process.main` and for tests."""

    def __init__(
        self, store: AnyStore, config: Configuration, listening: list[Listening], log: Log
    ) -> None:
        self.failed = store.stopped
        self._store = store
        self._log = log
        self._trace_days = config.queue.trace_days
        self._auth = config.auth
        self._data = config.server.data
        self._watch = _watch(store, config, log)
        self._watch_s = config.alerts.every.total_seconds()
        self._hints = Hints(store, config.server.data, "m", log)
        self._status = StatusServer(
            [item.sock for item in listening],
            self._figures if config.metrics.enabled else bytes,
            self._healthy,
            log,
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._texts = text_indexes(store, config, log)
        self._indexer: Indexer | None = None
        if self._texts is not None:
            self._indexer = Indexer(store, self._texts, config.search, log)
        self._index_s = config.search.every.total_seconds()
        self.duties = self._list_duties()

    async def start(self) -> None:
        await self._status.start()
        self._tasks = [asyncio.create_task(self._repeat(duty)) for duty in self.duties]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._status.close()
        self._hints.close()
        if self._indexer is not None and self._texts is not None:
            await self._indexer.close()
            self._texts.close()
        await self._store.close()

    def reload(self) -> None:
        """Nothing here is read from outside."""

    def _list_duties(self) -> list[Duty]:
        store = self._store
        accounts = Accounts(store)
        return [
            *_duties_of(store),
            *self._duties_of_index(),
            Duty("expire", EXPIRE_S, lambda: expire(store)),
            Duty("forget traces", EXPIRE_S, self._forget_traces),
            Duty("forget acts", EXPIRE_S, self._forget_acts),
            Duty("forget sessions", EXPIRE_S, self._forget_sessions),
            Duty("forget activity", EXPIRE_S, self._forget_activity),
            Duty("forget sign-ins", TIDY_S, self._forget_sign_ins),
            Duty("watch", self._watch_s, self._watch.look, everywhere=True),
            Duty("tidy accounts", TIDY_S, lambda: accounts.tidy(store.clock())),
            Duty("offer setup", TIDY_S, self._offer_setup, first_s=0.0, everywhere=True),
        ]

    def _duties_of_index(self) -> list[Duty]:
        if self._indexer is None:
            return []
        return [
            Duty("index text", self._index_s, self._indexer.round),
            Duty("sweep text indexes", TIDY_S, self._indexer.sweep),
        ]

    async def _forget_traces(self) -> int:
        before = self._store.clock() - self._trace_days * DAY_MS
        return await drain(self._store, lambda tx: forget(tx, before))

    async def _forget_acts(self) -> int:
        before = self._store.clock() - AUDIT_DAYS * DAY_MS
        return await drain(self._store, lambda tx: audit.forget(tx, before))

    async def _forget_sessions(self) -> int:
        now = self._store.clock()
        count = await drain(self._store, lambda tx: sessions.forget(tx, now))
        return count + await drain(self._store, lambda tx: push.forget(tx, now))

    async def _offer_setup(self) -> None:
        await setup.offer(self._store, self._data, self._log)

    async def _forget_activity(self) -> int:
        now = self._store.clock()
        return await drain(self._store, lambda tx: activity.forget(tx, now))

    async def _forget_sign_ins(self) -> int:
        before = self._store.clock() - int(self._auth.record_for.total_seconds() * 1000)
        most = self._auth.record_most
        quiet = self._store.clock() - int(self._auth.forget_after.total_seconds() * 1000)
        count = await drain(self._store, lambda tx: throttled.forget(tx, quiet))
        return count + await drain(self._store, lambda tx: attempts.forget(tx, before, most))

    async def _repeat(self, duty: Duty) -> None:
        wait = duty.first_s
        while True:
            await asyncio.sleep(wait)
            wait = duty.every_s
            try:
                if duty.everywhere or await self._store.leads():
                    await duty.call()
            except StoreStopped:
                return
            except Exception as error:
                self._log.error("duty_failed", duty=duty.name, error=repr(error))

    def _figures(self) -> bytes:
        return exposition(queue_gauges(self._watch.seen, self._store.clock()))

    async def _healthy(self) -> bool:
        if self._store.stopped.is_set():
            return False
        try:
            return await self._store.query(_alive())
        except StoreError:
            return False


def _watch(store: AnyStore, config: Configuration, log: Log) -> Watch:
    recipients = Recipients(Directory(store), config.route)
    return Watch(
        store,
        config.alerts,
        Submitter(store, recipients, config.queue, clock=store.clock, log=log),
        hostname=config.server.hostname,
        free=free_of(config.server.data),
        clock=store.clock,
        log=log,
    )


def _duties_of(store: AnyStore) -> list[Duty]:
    """What the database itself asks for."""
    if isinstance(store, SqliteStore):
        compactor = Compactor(store)
        return [
            Duty("checkpoint", CHECKPOINT_S, lambda: checkpoint(store)),
            Duty("compact", COMPACT_S, compactor.compact_once),
            Duty("remove packs", TIDY_S, lambda: remove_retired(store)),
            Duty("seal packs", TIDY_S, lambda: seal_abandoned(store)),
            Duty("sweep packs", EXPIRE_S, lambda: sweep(store)),
        ]
    from postillon.store.postgresql.collect import Collector

    return [Duty("collect", COMPACT_S, Collector(store).collect_once)]


def _alive() -> Steps[bool]:
    rows = yield ("SELECT 1", ())
    return rows == [(1,)]


async def make(
    config: Configuration, role: str, listening: list[Listening], log: Log
) -> Maintenance:
    store = await open_any(config.server.data, config.store, owner=role, log=log)
    return Maintenance(store, config, listening, log)


if __name__ == "__main__":
    main(make)
