"""What a command has changed reaches the processes of the running server."""

from __future__ import annotations

import asyncio
from pathlib import Path

from postillon.admin.desk import open_database
from postillon.net.bus import Bus
from postillon.store.config import StoreConfig
from postillon.store.operation import Steps, Tx


def announce(tx: Tx) -> Steps[None]:
    tx.announce("queue")
    yield "SELECT 1", ()


async def test_the_last_change_of_a_command_is_told_though_it_ends_at_once(tmp_path: Path) -> None:
    heard = asyncio.Event()
    worker = Bus(tmp_path / "run", "w0")
    await worker.open(lambda changes, topics: heard.set())
    try:
        async with open_database(tmp_path, StoreConfig(), fresh_ok=True) as store:
            await store.write(announce)
        async with asyncio.timeout(10):
            await heard.wait()
    finally:
        worker.close()
