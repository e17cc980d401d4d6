"""What a worker counts of its connections, for the limits of administration."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from postillon.log import Log
from postillon.server import activity
from postillon.server.config import Configuration
from postillon.server.handover import Listening
from postillon.server.sections import (
    ListenerConfig,
    ListenerProtocol,
    MetricsConfig,
    ServerConfig,
    TlsMode,
)
from postillon.server.worker import make


async def test_connections_that_are_open_are_counted_by_protocol(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    config = Configuration(
        server=ServerConfig(data=tmp_path, allow_root=True), metrics=MetricsConfig(enabled=False)
    )
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    imap = ListenerConfig(protocol=ListenerProtocol.IMAP, tls=TlsMode.NONE)
    running = await make(config, "w0", [Listening(imap, sock)], Log(lambda line: None))
    await running.start()
    store = running._store
    (reader, writer), (quick, gone) = (
        await asyncio.open_connection("127.0.0.1", port),
        await asyncio.open_connection("127.0.0.1", port),
    )
    await reader.readline()
    await quick.readline()
    await running._write_activity(running._open)
    found = await store.read_apart(activity.open_since(store.clock(), 2))
    assert [(name, value) for _, name, value in found] == [("imap", 2)]

    gone.write(b"a LOGOUT\r\n")
    await quick.read()  # until it is closed
    for _ in range(100):
        if running._open["imap"] == 1:
            break
        await asyncio.sleep(0)
    assert running._open["imap"] == 1
    writer.close()
    await running.stop()
