"""The maintenance process does its duties, and tells over HTTP whether mail can be accepted."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import aiohttp

from postillon.log import Log
from postillon.server.config import Configuration
from postillon.server.handover import Listening
from postillon.server.maintenance import Duty, make
from postillon.server.sections import (
    ListenerConfig,
    ListenerProtocol,
    MetricsConfig,
    ServerConfig,
)


def configuration(folder: Path) -> Configuration:
    return Configuration(
        server=ServerConfig(data=folder, allow_root=True), metrics=MetricsConfig(enabled=False)
    )


async def test_health_follows_the_store(tmp_path: Path) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    item = Listening(ListenerConfig(protocol=ListenerProtocol.METRICS), sock)
    running = await make(configuration(tmp_path), "m", [item], Log(lambda line: None))
    await running.start()
    async with aiohttp.ClientSession() as client:
        async with client.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert (answer.status, await answer.text()) == (200, "ok\n")
        running.failed.set()
        async with client.get(f"http://127.0.0.1:{port}/healthz") as answer:
            assert answer.status == 503
        async with client.post(f"http://127.0.0.1:{port}/healthz", data=b"x" * 5000) as answer:
            assert answer.status == 405
    await running.stop()


async def test_every_duty_can_be_done_and_one_that_fails_is_done_again(tmp_path: Path) -> None:
    lines: list[bytes] = []
    running = await make(configuration(tmp_path), "m", [], Log(lines.append))
    for duty in running.duties:
        await duty.call()
    tried = 0
    twice = asyncio.Event()

    async def failing() -> None:
        nonlocal tried
        tried += 1
        if tried == 2:
            twice.set()
        raise ValueError("no luck")

    running.duties = [Duty("trial", every_s=0, call=failing, first_s=0)]
    await running.start()
    await twice.wait()
    await running.stop()
    assert sum(b"duty_failed" in line for line in lines) >= 1
