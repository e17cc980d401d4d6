"""The event loop of our processes: uvloop where it is installed, the standard one elsewhere."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from postillon.net.tls import limit_tls_memory

T = TypeVar("T")

LOOP_VARIABLE = "POSTILLON_LOOP"  # "asyncio" asks for the standard loop, to compare or to debug


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    if os.environ.get(LOOP_VARIABLE) == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a process's main coroutine to its end."""
    limit_tls_memory()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(main)
