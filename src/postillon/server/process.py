"""What every child process does alike: read its handover, serve, say ready, stop when told."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from postillon.log import Log
from postillon.server import metrics
from postillon.server.config import Configuration
from postillon.server.handover import (
    Listening,
    read_handover,
    say_ready,
    sockets_of,
    watch_supervisor,
)
from postillon.server.loop import run
from postillon.server.sections import ServerConfig

END_MARGIN_S = 15.0  # beyond the patience with sessions, before a process that hangs is ended hard


class Station(Protocol):
    """What a process runs."""

    async def start(self) -> None:
        """Serve from now on."""

    async def stop(self) -> None:
        """Finish what is under way, in bounded time, and close everything."""

    def reload(self) -> None:
        """Read again what may have changed outside. Must not raise."""

    failed: asyncio.Event  # set when the process can do no more good and must end


Make = Callable[[Configuration, str, list[Listening], Log], Awaitable[Station]]


def main(make: Make) -> None:
    """The main function of a child process. Ends the process with 0 after a clean stop."""
    # Ctrl-C reaches the whole group; when to stop is the supervisor's to say.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    handover, config = read_handover(Configuration)
    log = Log(level=config.server.log_level.level, process=handover.role)
    if config.metrics.enabled:
        config = _with_metrics(config, log)
    listening = sockets_of(handover, config.listeners)
    spread = keep_to_core(handover.role, config.server)
    try:
        status = run(_serve(make, config, handover.role, listening, log, spread))
    except Exception as error:
        log.error("process_failed", error=repr(error), detail=str(error))
        status = os.EX_SOFTWARE
    sys.stdout = sys.stderr  # nobody reads the pipe any more
    raise SystemExit(status)


def keep_to_core(role: str, config: ServerConfig) -> Callable[[], None]:
    """Give a worker a core of its own, if there is one for each. Before it has other threads.

    The threads of a worker (loop, commit, sync) take turns at one interpreter; spread over cores, each
    turn wakes another core (docs/performance.md). Returns what a thread calls that takes no turns,
    since its work is outside the interpreter: it may use all cores.
    """
    if not hasattr(os, "sched_setaffinity"):  # Linux alone
        return lambda: None
    every = os.sched_getaffinity(0)
    workers = config.worker_count
    number = int(role[1:]) if role[:1] == "w" and role[1:].isdigit() else workers
    if config.own_cores and number < workers <= len(every):
        own = sorted(every, reverse=True)[number]  # the first one has most interrupts
        with suppress(OSError):
            os.sched_setaffinity(0, {own})

    def spread() -> None:
        with suppress(OSError):
            os.sched_setaffinity(0, every)

    return spread


def settle_memory() -> None:
    """What is there now stays: the collector need not look at it each time much is made.

    It looks through everything once a quarter more is there than before: 80,000 objects of modules,
    40 ms, within a command that reads 20,000 rows.
    """
    gc.collect()
    gc.freeze()


def _with_metrics(config: Configuration, log: Log) -> Configuration:
    """Prepare counting; on a full disk the server does without."""
    folder = config.server.data / "run" / "metrics"
    metrics.prepare(folder)
    try:
        metrics.reserve(folder)
    except OSError as error:
        log.error("no_metrics", error=str(error))
        return replace(config, metrics=replace(config.metrics, enabled=False))
    return config


async def _serve(
    make: Make,
    config: Configuration,
    role: str,
    listening: list[Listening],
    log: Log,
    spread: Callable[[], None],
) -> int:
    loop = asyncio.get_running_loop()
    loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="apart", initializer=spread))
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    patience = config.server.stop_patience.total_seconds()
    watch_supervisor(lambda: loop.call_soon_threadsafe(stopping.set), patience + END_MARGIN_S)
    station = await make(config, role, listening, log)
    try:
        await station.start()
        settle_memory()
        loop.add_signal_handler(signal.SIGHUP, station.reload)
        say_ready()
        ends = [asyncio.ensure_future(event.wait()) for event in (stopping, station.failed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
    finally:
        await station.stop()
    if station.failed.is_set():
        log.error("process_ends", reason="it cannot go on; recovery is the next one's")
        return os.EX_IOERR
    return 0
