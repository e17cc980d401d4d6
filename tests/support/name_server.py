"""The DNS server of tests in a thread of its own, for tests that have no event loop."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from support.dns import Zone, serving


@contextlib.contextmanager
def name_server(zone: Zone) -> Iterator[str]:
    """Serve the zone on loopback; gives `address:port`."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    service = serving(zone)
    try:
        yield asyncio.run_coroutine_threadsafe(service.__aenter__(), loop).result()
    finally:
        end = service.__aexit__(None, None, None)
        asyncio.run_coroutine_threadsafe(end, loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
