"""The supervisor keeps its processes running and ends all of them, whatever they do."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from postillon.log import Log
from postillon.server import supervisor as module
from postillon.server.sections import ServerConfig
from postillon.server.supervisor import StartFailed, Supervisor

STUB = "support.stub_child"
ROLES = ("m", "w0", "w1")


@dataclass(frozen=True)
class Config:
    server: ServerConfig


class Stubs:
    """The processes of a supervisor under test, and what they have been told to do."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lines: list[bytes] = []
        for role in ROLES:
            self.order(role, "serve")

    def order(self, role: str, what: str) -> None:
        (self.folder / role).write_text(what)

    def pids(self, role: str) -> list[int]:
        path = self.folder / f"{role}.pids"
        return [int(line) for line in path.read_text().split()] if path.exists() else []

    def supervisor(self) -> Supervisor:
        server = ServerConfig(
            data=self.folder, workers=2, allow_root=True, stop_patience=timedelta(0)
        )
        config: Any = Config(server)  # the stubs read no more of it
        return Supervisor(config, [], self.lock(), Log(self.lines.append))

    def lock(self) -> int:
        return os.open(self.folder / "lock", os.O_CREAT | os.O_RDWR)

    def all_gone(self) -> bool:
        return not any(Path(f"/proc/{pid}").exists() for role in ROLES for pid in self.pids(role))


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stubs:
    monkeypatch.setattr(module, "WORKER", STUB)
    monkeypatch.setattr(module, "MAINTENANCE_MODULE", STUB)
    monkeypatch.setattr(module, "STOP_GRACE_S", 0.5)
    monkeypatch.setattr(module.metrics, "forget_process", lambda pid: None)
    monkeypatch.setenv("STUB_FOLDER", str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    return Stubs(tmp_path)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)  # other processes give no other sign


async def test_all_serve_before_it_is_ready_and_all_end_when_it_stops(stubs: Stubs) -> None:
    ready: list[int] = []

    def on_ready(supervisor: Supervisor) -> None:
        ready.append(sum(len(stubs.pids(role)) for role in ROLES))
        supervisor.stop()

    await stubs.supervisor().run(on_ready)
    assert ready == [3]
    assert stubs.all_gone()


async def test_one_that_dies_is_replaced(stubs: Stubs) -> None:
    supervisor = stubs.supervisor()
    running = asyncio.ensure_future(supervisor.run())
    await until(lambda: bool(stubs.pids("w0") and stubs.pids("w1")))
    os.kill(stubs.pids("w0")[0], signal.SIGKILL)
    await until(lambda: len(stubs.pids("w0")) == 2)
    assert len(stubs.pids("w1")) == 1
    supervisor.stop()
    await running
    assert stubs.all_gone()


async def test_one_that_keeps_dying_is_started_with_growing_pauses(
    stubs: Stubs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_PAUSE_S", 0.001)
    supervisor = stubs.supervisor()
    running = asyncio.ensure_future(supervisor.run())
    await until(lambda: bool(stubs.pids("w1")))
    await until(lambda: any(b'"serving"' in line for line in stubs.lines))
    stubs.order("w1", "fail")
    os.kill(stubs.pids("w1")[0], signal.SIGKILL)
    await until(lambda: len(stubs.pids("w1")) >= 4)
    supervisor.stop()
    await running
    pauses = [
        line.split(b'"pause_s":')[1].split(b"}")[0] for line in stubs.lines if b"pause_s" in line
    ]
    assert pauses[:3] == [b"0.001", b"0.002", b"0.004"]
    assert stubs.all_gone()


async def test_if_one_does_not_come_up_the_first_time_none_is_left(stubs: Stubs) -> None:
    stubs.order("w1", "fail")
    with pytest.raises(StartFailed, match="w1"):
        await stubs.supervisor().run()
    assert stubs.all_gone()


async def test_one_that_does_not_stop_is_killed(stubs: Stubs) -> None:
    stubs.order("w0", "deaf")
    await stubs.supervisor().run(lambda supervisor: supervisor.stop())
    assert stubs.all_gone()
    assert any(b"process_killed" in line for line in stubs.lines)


async def test_a_second_stop_does_not_wait(stubs: Stubs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STOP_GRACE_S", 3600)
    stubs.order("w0", "deaf")

    def twice(supervisor: Supervisor) -> None:
        supervisor.stop()
        asyncio.get_running_loop().call_later(0.05, supervisor.stop)

    async with asyncio.timeout(20):
        await stubs.supervisor().run(twice)
    assert stubs.all_gone()


async def test_a_hangup_reaches_the_workers(stubs: Stubs) -> None:
    supervisor = stubs.supervisor()
    running = asyncio.ensure_future(supervisor.run(lambda running: running.reload()))
    await until(lambda: (stubs.folder / "w1.reloaded").exists())
    supervisor.stop()
    await running
