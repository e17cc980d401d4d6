"""How the stations count what they do, without knowing who collects it."""

from __future__ import annotations

from typing import Protocol


class Meter(Protocol):
    """Counts events and observes durations. Labels come from small fixed sets, never from a peer."""

    def count(self, event: str, label: str = "", n: int = 1) -> None: ...

    def observe(self, what: str, seconds: float) -> None: ...


class SilentMeter:
    """For tests and tools: counts nothing."""

    def count(self, event: str, label: str = "", n: int = 1) -> None:
        return

    def observe(self, what: str, seconds: float) -> None:
        return


SILENT_METER = SilentMeter()
