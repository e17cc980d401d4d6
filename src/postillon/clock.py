"""The time of day as an argument, so that 30 days of retries can be tested in a second."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]  # milliseconds since 1970 UTC


def system_clock() -> int:
    return time.time_ns() // 1_000_000
