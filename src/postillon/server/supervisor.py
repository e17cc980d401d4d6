"""The first process: opens the sockets, gives up its rights, keeps the others running.

    supervisor ── w0, w1, … equal workers: every protocol, queue, store
               └─ m         maintenance: checkpoints, compaction, expiry, metrics

It holds no mail and speaks no protocol, so that it has nothing to fail at. A child that dies is
replaced after a growing pause; its connections end and nothing more. SIGTERM and SIGINT stop all of
them in bounded time, SIGHUP lets the workers read their certificate again. Children see the end of
the supervisor, even by SIGKILL, as the end of a pipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from postillon.log import Log
from postillon.server import metrics
from postillon.server.certificates import own_certificate
from postillon.server.data_folder import lock_folder, make_folder
from postillon.server.handover import MAINTENANCE, READY, HandedSocket, encode
from postillon.server.listeners import OpenListener, inherited_sockets, open_listeners
from postillon.server.notify import notify
from postillon.server.privileges import become, intended_owner
from postillon.server.sections import ListenerProtocol

if TYPE_CHECKING:
    from postillon.server.config import Configuration

FIRST_PAUSE_S = 0.1  # before a dead child is replaced; doubles while they keep dying
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0  # a child that lived this long starts the pauses anew
READY_TIMEOUT_S = 120.0  # recovery takes milliseconds; a migration of a large database does not
STOP_GRACE_S = 15.0  # beyond the patience with sessions, for deliveries under way; then SIGKILL

WORKER, MAINTENANCE_MODULE = "postillon.server.worker", "postillon.server.maintenance"


class StartFailed(Exception):
    """A process did not come up the first time. It has said why in the log."""


class Child:
    """One process slot: the process that fills it now, and its successors."""

    def __init__(self, role: str, module: str, line: bytes, descriptors: Sequence[int]) -> None:
        self.role, self.module = role, module
        self.process: asyncio.subprocess.Process | None = None
        self.started = 0  # how many processes the slot has had
        self._line = line
        self._descriptors = tuple(descriptors)

    async def start(self) -> bool:
        """Start a process and wait until it serves; False if it ended or hung before."""
        self.process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            self.module,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            pass_fds=self._descriptors,
        )
        self.started += 1
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(ConnectionError):  # it is dead already; the answer will be empty
            self.process.stdin.write(self._line)
            await self.process.stdin.drain()
        try:
            async with asyncio.timeout(READY_TIMEOUT_S):
                said = await self.process.stdout.readline()
        except TimeoutError:
            said = b""
        if said != READY:
            self.kill()
            await self.process.wait()
        return said == READY

    def signal(self, number: int) -> None:
        if self.process is not None and self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)

    async def ended(self) -> int:
        assert self.process is not None
        return await self.process.wait()


class Supervisor:
    """A running server. `listeners` are open when it is made; `run` serves until it is stopped."""

    def __init__(
        self, config: Configuration, listeners: Sequence[OpenListener], lock: int, log: Log
    ) -> None:
        self.listeners = tuple(listeners)
        self._config = config
        self._lock = lock
        self._log = log
        self._stopping = asyncio.Event()
        self.children = [self._maintenance_child()]
        self.children += [self._worker_child(n) for n in range(config.server.worker_count)]

    async def run(self, on_ready: Callable[[Supervisor], None] | None = None) -> None:
        """Start everything, keep it running, stop it when asked.

        Raises StartFailed if a process does not come up the first time; then none is left.
        """
        try:
            await self._start_all()
            if not self._stopping.is_set():
                self._log.info(
                    "serving", listeners=[str(listener.config) for listener in self.listeners]
                )
                notify("READY=1")
                if on_ready is not None:
                    on_ready(self)
                async with asyncio.TaskGroup() as group:
                    keepers = [group.create_task(self._keep(child)) for child in self.children]
                    await self._stopping.wait()
                    for keeper in keepers:
                        keeper.cancel()
        finally:
            notify("STOPPING=1")
            await self._stop_all()

    def stop(self) -> None:
        """Let sessions finish their replies and end. Asked a second time: do not wait for them."""
        if self._stopping.is_set():
            for child in self.children:
                child.kill()
        self._stopping.set()

    def reload(self) -> None:
        """SIGHUP."""
        self._log.info("reload", what="certificates; other settings are read at the next start")
        for child in self.children:
            child.signal(signal.SIGHUP)

    async def _start_all(self) -> None:
        """Maintenance first and alone: it migrates the database."""
        maintenance, *workers = self.children
        for together in ([maintenance], workers):
            async with asyncio.TaskGroup() as group:
                starts = [group.create_task(child.start()) for child in together]
                watch = group.create_task(self._give_up_when_stopping(starts))
                came_up = await asyncio.gather(*starts, return_exceptions=True)
                watch.cancel()
            if self._stopping.is_set():
                return
            for child, good in zip(together, came_up, strict=True):
                if good is not True:
                    raise StartFailed(f"process {child.role} did not start")

    async def _give_up_when_stopping(self, starts: Sequence[asyncio.Task[bool]]) -> None:
        await self._stopping.wait()
        for start in starts:
            start.cancel()

    async def _keep(self, child: Child) -> None:
        """Replace the process of this slot whenever it ends."""
        loop = asyncio.get_running_loop()
        pause = FIRST_PAUSE_S
        while True:
            since = loop.time()
            status = await child.ended()
            pid = child.process.pid if child.process is not None else 0
            metrics.forget_process(pid)
            if loop.time() - since >= STEADY_S:
                pause = FIRST_PAUSE_S
            self._log.error("process_died", role=child.role, pid=pid, status=status, pause_s=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)
            try:
                if await child.start():
                    self._log.info("process_replaced", role=child.role)
            except OSError as error:  # no memory or process left just now
                self._log.error("process_not_started", role=child.role, error=str(error))

    async def _stop_all(self) -> None:
        """Workers first; the maintenance process last, so that metrics and checkpoints see the end."""
        maintenance, *workers = self.children
        patience = self._config.server.stop_patience.total_seconds() + STOP_GRACE_S
        for together in (workers, [maintenance]):
            running = [child for child in together if child.process is not None]
            for child in running:
                child.signal(signal.SIGTERM)
            ends = [asyncio.ensure_future(child.ended()) for child in running]
            if not ends:
                continue
            _, late = await asyncio.wait(ends, timeout=patience)
            for child in running if late else []:
                self._log.error("process_killed", role=child.role, reason="did not stop in time")
                child.kill()
            await asyncio.wait(ends)
        for listener in self.listeners:
            listener.close()
        self._log.info("stopped")

    def _worker_child(self, number: int) -> Child:
        sockets = tuple(
            HandedSocket(index, sock.fileno())
            for index, listener in enumerate(self.listeners)
            if listener.config.protocol is not ListenerProtocol.METRICS
            for sock in listener.of_worker(number)
        )
        return self._child(f"w{number}", WORKER, sockets)

    def _maintenance_child(self) -> Child:
        sockets = tuple(
            HandedSocket(index, sock.fileno())
            for index, listener in enumerate(self.listeners)
            if listener.config.protocol is ListenerProtocol.METRICS
            for sock in listener.sockets
        )
        return self._child(MAINTENANCE, MAINTENANCE_MODULE, sockets)

    def _child(self, role: str, module: str, sockets: tuple[HandedSocket, ...]) -> Child:
        descriptors = [self._lock, *(handed.descriptor for handed in sockets)]
        return Child(role, module, encode(role, self._config, sockets), descriptors)


def run(
    config: Configuration,
    on_ready: Callable[[Supervisor], None] | None = None,
    prepare: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT.

    prepare: called when the folder is ours and before any process starts. on_ready: called when all
    of them serve.
    Raises ListenError, FolderInUse, PrivilegeError, TlsError or StartFailed when that is not possible;
    their texts are for the administrator.
    """
    log = Log(level=config.server.log_level.level, process="supervisor")
    owner = intended_owner(config.server)
    listeners = open_listeners(config.listeners, config.server.worker_count, inherited_sockets())
    try:
        data = config.server.data
        make_folder(data, owner)
        if owner is not None:
            become(config.server, owner)
        lock = lock_folder(data)
        metrics_folder = data / "run" / "metrics"
        metrics.wipe(metrics_folder)
        metrics.prepare(metrics_folder)
        if prepare is not None:
            prepare()
        if not config.tls.given:
            own_certificate(data / "tls", [config.server.hostname])  # unless `prepare` made one
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    asyncio.run(_supervise(config, listeners, lock, log, on_ready))


async def _supervise(
    config: Configuration,
    listeners: Sequence[OpenListener],
    lock: int,
    log: Log,
    on_ready: Callable[[Supervisor], None] | None,
) -> None:
    supervisor = Supervisor(config, listeners, lock, log)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, supervisor.stop)
    loop.add_signal_handler(signal.SIGHUP, supervisor.reload)
    try:
        await supervisor.run(on_ready)
    finally:
        os.close(lock)
