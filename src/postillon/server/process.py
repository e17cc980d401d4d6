"""What every child process does alike: read its handover, serve, say ready, stop when told."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
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
    try:
        status = run(_serve(make, config, handover.role, listening, log))
    except Exception as error:
        log.error("process_failed", error=repr(error), detail=str(error))
        status = os.EX_SOFTWARE
    sys.stdout = sys.stderr  # nobody reads the pipe any more
    raise SystemExit(status)


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
    make: Make, config: Configuration, role: str, listening: list[Listening], log: Log
) -> int:
    loop = asyncio.get_running_loop()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    patience = config.server.stop_patience.total_seconds()
    watch_supervisor(lambda: loop.call_soon_threadsafe(stopping.set), patience + END_MARGIN_S)
    station = await make(config, role, listening, log)
    try:
        await station.start()
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
